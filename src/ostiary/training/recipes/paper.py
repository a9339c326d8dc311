"""The paper's recipe (Khabarlak 2022, sections 3 and 4), plain.

From scratch, colour jitter and ISO noise, Adam at 1e-4, batch 32, 20 epochs, best epoch on development data.
The paper gives no strengths, no crop margin and no normalisation: those here are ours.
"""

from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.recipe import Recipe
from ostiary.training.schedule import Schedule

RECIPE = Recipe(
    name="paper",
    summary="Khabarlak 2022 as published: from scratch, 20 epochs, colour jitter and ISO noise.",
    network="pta_mobilenet_v2",
    preprocess=Preprocess(crop="loose", size=128, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02, noise=8),
    schedule=Schedule(epochs=20, batch=32, optimiser="adam", learning_rate=1e-4, keep="best"),
)
