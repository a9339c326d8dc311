"""One's own camera: the packaged network goes on with pictures of a few people taken there.

Half-way back towards the weights it started from (WiSE-FT) it knows the new camera as well, and has forgotten less
of all others (results/site_training.md).
"""

from ostiary.training.recipe import Recipe
from ostiary.training.recipes.strangers import RECIPE as STRANGERS
from ostiary.training.schedule import Schedule

RECIPE = Recipe.model_validate(
    {
        **STRANGERS.model_dump(),
        "name": "site",
        "summary": "Go on with a trained network and pictures of one's own camera; needs no teacher.",
        "start": "trained",
        "teacher_weight": 0.0,
        "teacher_level": "own",
        "epoch_pictures": 640,
        "blend": 0.5,
        "schedule": Schedule(
            epochs=4,
            batch=32,
            optimiser="adamw",
            learning_rate=2e-4,
            weight_decay=0.02,
            decay="cosine",
            warmup_steps=10,
            average=0.95,
            keep="last",
        ).model_dump(),
    }
)
