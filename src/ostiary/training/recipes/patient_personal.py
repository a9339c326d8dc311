"""What ships of personal verifiers: ``personal_gentle`` with more people a batch and more batches.

Pictures are changed where the network is trained, a whole batch at once; on one CPU core that is faster, too.
"""

from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.recipes.personal_gentle import RECIPE as GENTLE

RECIPE = PersonalRecipe.model_validate(
    {
        **GENTLE.model_dump(),
        "name": "patient_personal",
        "summary": "What ships: a personal last layer on a distilled start, one phase, many people a batch.",
        "prepared": "device",
        "steps_per_epoch": 2000,
        "schedule": {**GENTLE.schedule.model_dump(), "epochs": 5, "batch": 128, "warmup_steps": 100},
    }
)
