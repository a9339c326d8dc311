"""Our recipe for personal verifiers: a static network's layers for all, and a personal last layer.

A start that sees faces, a head alone, neighbourhoods and less help from the backbone as the run goes on.
``personal_start`` trains the start, which is the rival as well.
"""

from ostiary.training.augment import Augmentation
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.personal.recipe import PersonalRecipe, Phase
from ostiary.training.schedule import Schedule

RECIPE = PersonalRecipe(
    name="personal",
    summary="A personal last layer on a distilled start; neighbourhoods from a third of the run on.",
    form="head",
    architecture="f112",
    start="static",
    augmentation=Augmentation(
        flip=True, brightness=0.2, contrast=0.2, saturation=0.2, gamma=0.3, noise=4, blur=0.1, shrink=0.1, jpeg=0.2
    ),
    misalignment=Misalignment(turn=4, zoom=1.04, shift=4),
    phases=(
        Phase(until=0.3, anybody=0.5, hard=0.0, positive=1.0, distil=1.0),
        Phase(until=0.65, anybody=0.5, hard=0.5, positive=0.5, distil=0.6),
        Phase(until=1.0, anybody=0.5, hard=0.75, positive=0.5, distil=0.4),
    ),
    steps_per_epoch=500,
    schedule=Schedule(
        epochs=20,
        batch=64,
        optimiser="adamw",
        learning_rate=1e-3,
        weight_decay=1e-3,
        decay="cosine",
        warmup_steps=30,
        average=0.998,
        keep="last",
    ),
)
