"""The recipe for a GPU: teachers that see every picture just as the network does, and very many pictures.

A patient and consistent teacher (Beyer et al. 2022): it answers for the very pixels that are learnt from, double
exposures of two people among them, and the run is long. Both deployed networks teach live; nothing has to be asked
beforehand. Every network of the comparison tables learns by it.
"""

from ostiary.training.embedding.recipe import FaceRecipe, Teaching
from ostiary.training.recipes.few_people import RECIPE as FEW_PEOPLE

RECIPE = FaceRecipe.model_validate(
    {
        **FEW_PEOPLE.model_dump(),
        "name": "patient",
        "summary": "For a GPU: two live teachers over a long run of changed and blended pictures.",
        "prepared": "device",
        "mixed": 0.25,
        "augmentation": {**FEW_PEOPLE.augmentation.model_dump(), "blur": 0.2, "shrink": 0.3, "erase": 0.3},
        "misalignment": {"turn": 10.0, "zoom": 1.08, "shift": 4.0},
        "margin": None,
        "epoch_pictures": 100_000,
        "teaching": Teaching(teachers=("sface",), watcher="foamliu", relations=4.0, hints=0.3).model_dump(),
        "schedule": {
            **FEW_PEOPLE.schedule.model_dump(),
            "epochs": 12,
            "batch": 128,
            "learning_rate": 3e-3,
            "weight_decay": 0.02,
            "warmup_steps": 500,
            "average": 0.999,
        },
    }
)
