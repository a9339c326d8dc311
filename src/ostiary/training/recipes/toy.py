"""A first run without any data: drawn faces (`ostiary data synthesize`), minutes on a CPU.

It shows that everything works, not that anything holds on real attacks.
"""

from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.recipe import Recipe
from ostiary.training.schedule import Schedule

RECIPE = Recipe(
    name="toy",
    summary="A first run on the synthetic set: 96 pixels, minutes on a CPU.",
    network="pta_mobilenet_v2",
    preprocess=Preprocess(crop="loose", size=96, scale=1.5, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(shift=0.05, zoom=1.15, brightness=0.2, contrast=0.2, saturation=0.2, noise=4),
    sampling="balanced",
    epoch_pictures=960,
    schedule=Schedule(
        epochs=8,
        batch=32,
        optimiser="adamw",
        learning_rate=2e-3,
        weight_decay=0.02,
        decay="cosine",
        warmup_steps=30,
    ),
)
