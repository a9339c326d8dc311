"""``personal_start`` for longer, with pictures changed where the network is trained, a whole batch at once."""

from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.recipes.personal_start import RECIPE as START

RECIPE = PersonalRecipe.model_validate(
    {
        **START.model_dump(),
        "name": "patient_start",
        "summary": "The static network that is every personal verifier's start, taught for long.",
        "prepared": "device",
        "steps_per_epoch": 2000,
        "schedule": {**START.schedule.model_dump(), "epochs": 15, "batch": 128, "warmup_steps": 300},
    }
)
