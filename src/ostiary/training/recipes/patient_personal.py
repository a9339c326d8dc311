"""``personal_gentle`` for a GPU: more people a batch, more batches."""

from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.recipes.personal_gentle import RECIPE as GENTLE

RECIPE = PersonalRecipe.model_validate(
    {
        **GENTLE.model_dump(),
        "name": "patient_personal",
        "summary": "For a GPU: a personal last layer on a distilled start, one phase, many people a batch.",
        "prepared": "device",
        "steps_per_epoch": 2000,
        "schedule": {**GENTLE.schedule.model_dump(), "epochs": 5, "batch": 128, "warmup_steps": 100},
    }
)
