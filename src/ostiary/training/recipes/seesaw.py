"""Zhang 2019 as published: a large labelled set (MS1MV2), ArcFace, mirrored pictures and nothing else.

The tables of the paper are of batches of 160 to 256; 192 gave its best Seesaw-shuffle.
"""

from ostiary.training.augment import Augmentation
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.schedule import Schedule

RECIPE = FaceRecipe(
    name="seesaw",
    summary="Zhang 2019 as published: ArcFace on a large labelled set, 16 epochs.",
    network="seesaw_shuffle",
    dimension=512,
    augmentation=Augmentation(flip=True),
    margin=Margin(kind="arcface", scale=64, margin=0.5),
    held_out=0.001,
    schedule=Schedule(
        epochs=16,
        batch=192,
        optimiser="sgd",
        learning_rate=0.1,
        weight_decay=4e-5,
        decayed="all_but_norms",
        head_weight_decay=4e-4,
        decay="steps",
        milestones=(8 / 16, 12 / 16, 14 / 16),
        keep="last",
    ),
)
