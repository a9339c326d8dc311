"""Our recipe, for faces, cameras and screens that were not in the training data.

A trunk that has seen the world (ImageNet); every picture changed as another camera or room would have, but not
so much that the traces of an attack go; even draws over data sets, species and people; a deployed network that
watches every crop and gives three quarters of the loss, counted from where each data set's classes part; every
configuration follows the best one by half; averaged weights. results/ablation.md shows what each is worth, and
what was tried and left out.
"""

from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.dial import Dial
from ostiary.training.recipe import Recipe
from ostiary.training.schedule import Schedule

RECIPE = Recipe(
    name="strangers",
    summary="From an ImageNet trunk, even sampling, a watching teacher, averaged weights.",
    network="pta_mobilenet_v2",
    start="imagenet",
    preprocess=Preprocess(crop="loose", size=128, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(
        tight=0.3,
        shift=0.08,
        zoom=1.25,
        brightness=0.15,
        contrast=0.15,
        saturation=0.2,
        hue=0.02,
        gamma=0.3,
        gains=0.08,
        noise=6,
        blur=0.1,
        shrink=0.2,
        jpeg=0.25,
        sharpen=0.1,
        grey=0.05,
        erase=0.15,
    ),
    sampling="balanced",
    epoch_pictures=4800,
    label_smoothing=0.05,
    teacher_weight=0.75,
    teacher="watching",
    teacher_level="data_set",
    dial=Dial(distil=0.5),
    schedule=Schedule(
        epochs=8,
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
