"""Our face recipe, for a few thousand people: follow two networks that have seen many more.

SFace has been asked beforehand about each unchanged picture; foamliu's MobileFaceNet, six times as fast, watches
every picture as the network sees it, and its maps on the way teach each part of the network by itself. Their
embeddings one after the other are the target. A margin over the known people is a supplement.
"""

from ostiary.training.augment import Augmentation
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.embedding.recipe import FaceRecipe, Teaching
from ostiary.training.schedule import Schedule

RECIPE = FaceRecipe(
    name="few_people",
    summary="Two teachers followed, one of them watching, and a margin over the people that are known.",
    network="seesaw_shuffle",
    dimension=256,
    augmentation=Augmentation(
        flip=True,
        brightness=0.2,
        contrast=0.2,
        saturation=0.3,
        hue=0.01,
        gamma=0.4,
        gains=0.08,
        noise=6,
        blur=0.1,
        shrink=0.25,
        jpeg=0.3,
        grey=0.05,
        erase=0.2,
    ),
    misalignment=Misalignment(turn=6, zoom=1.06, shift=3),
    margin=Margin(kind="arcface", scale=32, margin=0.3, weight=0.1),
    teaching=Teaching(teachers=("sface",), watcher="foamliu", hints=1.0),
    schedule=Schedule(
        epochs=12,
        batch=32,
        optimiser="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        decay="cosine",
        warmup_steps=300,
        average=0.998,
        keep="last",
    ),
)
