"""Make the pictures of ``ostiary demo`` from the two portraits of ``tests/data``, always the same ones.

    python benchmarks/demo_pictures.py

There is one free portrait of each person. So the second picture of the enrolled one is that portrait mirrored,
turned, darker and cut otherwise, and the attack is the portrait as a camera sees it on a screen, painted by
``ostiary.training.recapture``. It shows what a refusal looks like, and says nothing about how many attacks are
found.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from ostiary.faces.detector import FaceDetector
from ostiary.images import read_image
from ostiary.training import recapture

ROOT = Path(__file__).resolve().parents[1]
PORTRAITS, OUT = ROOT / "tests" / "data", ROOT / "src" / "ostiary" / "demo_pictures"
SIDE = 400
"""Pixels; with the JPEG quality it keeps the folder near 150 kB."""

CLOSER = (60, 0, 400, 340)
"""What of the portrait is held up to the camera: head and shoulders, in pixels of the portrait."""

STRENGTH, SEED = 0.2, 4


def again(portrait: Image.Image) -> Image.Image:
    """The same person another time, as far as one portrait can show it."""
    turned = portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(4, Image.Resampling.BICUBIC)
    width, height = turned.size
    cut = turned.crop((round(0.08 * width), round(0.06 * height), round(0.94 * width), round(0.92 * height)))
    return ImageEnhance.Color(ImageEnhance.Brightness(cut).enhance(0.88)).enhance(0.9)


def replayed(portrait: Image.Image) -> Image.Image:
    """The portrait on a screen: tilted, with its pixels, a glare, a bezel and a room behind."""
    pixels, chance = np.asarray(portrait), np.random.default_rng(SEED)
    grid = recapture.Grid.around(FaceDetector().detect(pixels)[0].box, pixels.shape)
    shown = recapture.tilted(recapture.compressed(pixels, 60), grid, STRENGTH, 0, chance)
    light = recapture.to_light(shown, 1.1)
    light = recapture.gamut(light, black=0.06, white=0.95, saturation=0.9, cast=(0.93, 0.98, 1.08))
    light = recapture.pixels(light, grid, STRENGTH, chance)
    light = recapture.moire(light, grid, STRENGTH, chance)
    light = recapture.bands(light, grid, STRENGTH, chance)
    light = recapture.glare(light, grid, STRENGTH, chance)
    room = recapture.surroundings(pixels, chance)
    light = recapture.framed(light, room, grid, 9, (0.03, 0.03, 0.04), chance)
    light = recapture.exposed(light, STRENGTH, chance)
    return Image.fromarray(recapture.recaptured(recapture.to_picture(light), grid, 0.3, chance))


def portrait(name: str, part: tuple[int, int, int, int] | None = None) -> Image.Image:
    """A portrait or a part of it, the longer side of SIDE pixels."""
    picture = Image.fromarray(read_image(PORTRAITS / name)).crop(part)
    size = [round(SIDE * side / max(picture.size)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    collins = portrait("astronaut.png")
    made = {
        "collins.jpg": collins,
        "collins_again.jpg": again(collins),
        "hopper.jpg": portrait("grace_hopper.jpg"),
        "collins_on_a_screen.jpg": replayed(portrait("astronaut.png", CLOSER)),
    }
    for name, picture in made.items():
        picture.save(OUT / name, quality=90)
        print(f"{name}: {picture.width}x{picture.height}, {(OUT / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
