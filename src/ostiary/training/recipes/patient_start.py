"""``personal_start`` for a GPU: ten times as many pictures, changed where the network is trained."""

from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.recipes.personal_start import RECIPE as START

RECIPE = PersonalRecipe.model_validate(
    {
        **START.model_dump(),
        "name": "patient_start",
        "summary": "For a GPU: the static network that is every personal verifier's start, taught for long.",
        "prepared": "device",
        "steps_per_epoch": 2000,
        "schedule": {**START.schedule.model_dump(), "epochs": 15, "batch": 128, "warmup_steps": 300},
    }
)
