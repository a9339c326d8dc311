"""A dial for a face network that is trained already: ``train face --recipe dial --start-from MODEL``.

All-heavy begins as the trained network, each light branch as the first block of its run. The rate is low enough
not to lose what the network knows, and the light branches have little to learn.
"""

from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.recipes.few_people import RECIPE as FEW_PEOPLE

RECIPE = FaceRecipe.model_validate(
    {
        **FEW_PEOPLE.model_dump(),
        "name": "dial",
        "summary": "Words of a dial for a trained Seesaw-shuffle: give it with --start-from.",
        "network": "pta_seesaw_shuffle",
        "margin": None,
        "words": {"HHH": 0.16, **dict.fromkeys(("LHH", "HLH", "HHL", "LLH", "LHL", "HLL", "LLL"), 0.12)},
        "epoch_pictures": 6000,
        "schedule": {
            **FEW_PEOPLE.schedule.model_dump(),
            "epochs": 6,
            "learning_rate": 5e-4,
            "warmup_steps": 100,
            "average": 0.99,
        },
    }
)
