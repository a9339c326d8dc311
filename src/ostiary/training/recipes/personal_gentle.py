"""Personal verifiers in one phase, balanced, the backbone's opinion throughout, no neighbourhoods.

Hard negatives and less weight on mated comparisons, as in ``personal``, cost accuracy from the step on at which
they begin (``results/personal/ablation.md``): 22,785 numbers have nothing left for fine distinctions.
"""

from ostiary.training.personal.recipe import PersonalRecipe, Phase
from ostiary.training.recipes.personal import RECIPE as PERSONAL

RECIPE = PersonalRecipe.model_validate(
    {
        **PERSONAL.model_dump(),
        "name": "personal_gentle",
        "summary": "A personal last layer on a distilled start: anybody's pictures, one phase, no hard negatives.",
        "phases": [Phase(until=1.0, anybody=0.5, hard=0.0, positive=1.0, distil=1.0).model_dump()],
        "schedule": {**PERSONAL.schedule.model_dump(), "epochs": 7},
    }
)
