"""Our recipe for the start of personal verifiers: one small network for everybody that follows the backbone.

So small a network wants large steps: over its first 500 the rate of the generator, 1e-3, brought an AUC of 0.55 on
people held out, 5e-3 0.65, 2e-2 0.73, 5e-2 0.70.
"""

from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.recipes.personal import RECIPE as PERSONAL

RECIPE = PersonalRecipe.model_validate(
    {
        **PERSONAL.model_dump(),
        "name": "personal_start",
        "summary": "A static network that follows the backbone: start of all personal verifiers, and their rival.",
        "form": "static",
        "start": "noise",
        "schedule": {**PERSONAL.schedule.model_dump(), "learning_rate": 2e-2},
    }
)
