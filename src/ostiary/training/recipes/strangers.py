"""Our recipe, for faces, cameras and screens that were not in the training data.

A trunk that has seen the world (ImageNet), every picture changed as another camera or room would have,
even draws over data sets, species and people, soft targets of deployed networks, averaged weights.
"""

from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.recipe import Recipe
from ostiary.training.schedule import Schedule

RECIPE = Recipe(
    name="strangers",
    summary="From an ImageNet trunk, strong augmentation, even sampling, soft targets, averaged weights.",
    network="pta_mobilenet_v2",
    start="imagenet",
    preprocess=Preprocess(crop="loose", size=128, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(
        tight=0.3,
        shift=0.08,
        zoom=1.25,
        brightness=0.3,
        contrast=0.3,
        saturation=0.4,
        hue=0.04,
        gamma=0.6,
        gains=0.15,
        noise=14,
        blur=0.2,
        shrink=0.4,
        jpeg=0.5,
        sharpen=0.1,
        grey=0.1,
        erase=0.25,
    ),
    sampling="balanced",
    epoch_pictures=4800,
    label_smoothing=0.05,
    teacher_weight=0.6,
    schedule=Schedule(
        epochs=15,
        batch=32,
        optimiser="adamw",
        learning_rate=5e-4,
        weight_decay=0.02,
        decay="cosine",
        warmup_steps=100,
        average=0.995,
        keep="last",
    ),
)
