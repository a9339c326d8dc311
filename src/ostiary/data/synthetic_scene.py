"""What surrounds a drawn face on its way into a picture: the background, and the camera."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter


def draw_background(rng: np.random.Generator, side: int) -> Image.Image:
    """A wall in changing light with things on it; RGB, ``side`` by ``side``.

    Some of the things are white, some black, with sharp or soft edges: the edge of a sheet or the bezel of a
    screen must not be told by its darkness alone.
    """
    tint = rng.normal(0, 14, 3)
    first, second = rng.uniform(40, 225, 2)
    y, x = np.mgrid[:side, :side] / side
    direction = rng.uniform(0, 2 * np.pi)
    share = np.clip(0.5 + (x - 0.5) * np.cos(direction) + (y - 0.5) * np.sin(direction), 0, 1)[..., None]
    levels = first * share + second * (1 - share) + tint + rng.normal(0, 6, (side, side, 1))
    wall = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(wall)
    for _ in range(rng.integers(3, 9)):
        left, top = rng.uniform(-0.3, 0.95, 2) * side
        width, height = rng.uniform(0.05, 0.7, 2) * side
        red, green, blue = np.clip(rng.choice([10, 60, 130, 200, 250]) + rng.normal(0, 22, 3), 0, 255)
        draw.rectangle((left, top, left + width, top + height), fill=(int(red), int(green), int(blue)))
    return wall.filter(ImageFilter.GaussianBlur(side * rng.uniform(0.001, 0.02)))


def photograph(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a cheap camera makes of a scene: focus, exposure, white balance and noise vary; uint8 (H, W, 3).

    Bona fide and attacks pass through the same camera, so that its colours and blur say nothing of the label.
    """
    focused = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.7)))
    light = np.asarray(focused, dtype=np.float64) / 255
    balance = np.exp(rng.normal(0, 0.08, 3))
    light = np.clip(light * balance * np.exp(rng.normal(0, 0.2)), 0, 1) ** np.exp(rng.normal(0, 0.15))
    # Noise of a sensor is correlated over neighbours by demosaicing and grows with the light.
    height, width, _ = light.shape
    coarse = rng.normal(0, 1, (height, width, 3)) + 0.7 * np.roll(rng.normal(0, 1, (height, width, 3)), 1, 1)
    noisy = light + coarse * rng.uniform(0.004, 0.02) * (0.5 + light)
    return np.asarray((np.clip(noisy, 0, 1) * 255).round(), dtype=np.uint8)
