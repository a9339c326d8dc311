"""Instruments of attack, drawn: a face on paper or on a screen, held before the camera.

What they leave in the picture is what real ones leave: halftone dots, a smaller gamut, flat light, paper
edges and fingers; or a pixel grid, moire, refresh bands, a bezel and glare. The face itself is placed as in a
bona fide picture, so that its position and size say nothing of the label.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ostiary.data.synthetic_face import Person, Points, Shot, draw_face
from ostiary.data.synthetic_scene import draw_background

Light = NDArray[np.float64]  # (H, W, 3) in 0..1

_DETAIL = 2  # pixels of the instrument to one of the final picture, so that dots can be finer than a pixel


def attack(
    person: Person, shot: Shot, species: str, size: int, rng: np.random.Generator
) -> tuple[Image.Image, Points]:
    """The scene that a camera sees, RGB ``size`` by ``size``, and the outline of the face in its pixels.

    ``shot`` says where the face shall be in the final picture.
    """
    half = rng.uniform(0.42, 0.78) * size
    aim = np.array(shot.centre) * size
    offset = rng.uniform(-0.12, 0.12, 2) * half
    # The shot inside the instrument that brings the face to where the given shot has it.
    inner = replace(
        shot,
        half_width=shot.half_width * size / (2 * half),
        centre=(0.5 - offset[0] / (2 * half), 0.5 - offset[1] / (2 * half)),
    )
    shown, outline = draw_face(person, inner, round(2 * half * _DETAIL), oversampling=1)
    surface = MAKERS[species](np.asarray(shown, dtype=np.float64) / 255, rng)
    margin = (surface.width - shown.width) / 2
    corners = _corners(aim + offset, half * surface.width / shown.width, rng)
    scene = draw_background(rng, size)
    matrix = _homography(_square(surface.width), corners)
    _lay(scene, surface, matrix)
    if species.startswith("print") and rng.random() < 0.6:
        _fingers(scene, corners, rng)
    return scene, _map(outline + margin, matrix)


def _print(shown: Light, rng: np.random.Generator) -> Image.Image:
    """Ink on paper."""
    grey = shown.mean(axis=2, keepdims=True)
    inks = grey + (shown - grey) * rng.uniform(0.65, 1.0)
    dark, bright = rng.uniform(0.04, 0.18), rng.uniform(0.85, 0.98)
    inks = dark + (bright - dark) * inks
    period, strength = rng.uniform(4.0, 7.5), rng.uniform(0.15, 0.45)
    dots = np.stack([_screen(inks.shape[0], period, angle) for angle in np.radians((15, 75, 0))], axis=-1)
    inks = (1 - strength) * inks + strength / (1 + np.exp(-6 * (inks - dots)))
    border = round(rng.uniform(0.0, 0.08) * len(inks))
    sheet = np.pad(inks, ((border, border), (border, border), (0, 0)), constant_values=bright)
    curl = np.cos(np.linspace(-1, 1, len(sheet)) * rng.uniform(0.2, 1.2) + rng.uniform(-0.6, 0.6))
    return _picture(sheet * (0.75 + 0.25 * curl)[None, :, None])


def _display(shown: Light, rng: np.random.Generator) -> Image.Image:
    """Light from a screen."""
    side = len(shown)
    glow = shown ** rng.uniform(0.85, 1.15) * np.exp(rng.normal((-0.03, 0.0, 0.04), 0.03))
    y, x = np.mgrid[:side, :side]
    pitch, strength = rng.uniform(3.2, 5.5), rng.uniform(0.08, 0.25)
    angle = rng.normal(0, 0.05)
    across = (x * np.cos(angle) + y * np.sin(angle)) / pitch
    down = (y * np.cos(angle) - x * np.sin(angle)) / pitch
    thirds = np.array([0, 1, 2]) / 3
    grid = np.cos(2 * np.pi * (across[..., None] + thirds)) + 0.6 * np.cos(2 * np.pi * down)[..., None]
    glow = glow * (1 + strength * grid)
    beat, lean = rng.uniform(12, 50), rng.uniform(0, np.pi)
    wave = (x * np.cos(lean) + y * np.sin(lean)) / beat + 0.3 * np.sin(2 * np.pi * y / side)
    coloured = wave[..., None] + thirds * rng.uniform(0, 1)
    glow = glow * (1 + rng.uniform(0.03, 0.1) * np.cos(2 * np.pi * coloured))
    if rng.random() < 0.5:
        bands = np.cos(2 * np.pi * (np.arange(side) / side * rng.uniform(1.5, 5) + rng.random()))
        glow = glow * (1 + rng.uniform(0.03, 0.1) * bands)[:, None, None]
    if rng.random() < 0.6:
        glow = glow + rng.uniform(0.1, 0.4) * _glare(side, rng)
    border = round(rng.uniform(0.02, 0.09) * side)
    bezel = rng.choice([0.03, 0.1, 0.85], p=[0.6, 0.2, 0.2])
    return _picture(np.pad(glow, ((border, border), (border, border), (0, 0)), constant_values=bezel))


MAKERS: Mapping[str, Callable[[Light, np.random.Generator], Image.Image]] = MappingProxyType(
    {"print_flat": _print, "replay_screen": _display}
)


def _screen(side: int, period: float, angle: float) -> NDArray[np.float64]:
    y, x = np.mgrid[:side, :side] * (2 * np.pi / period)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return np.asarray(0.5 + 0.25 * (np.cos(along) + np.cos(across)))


def _glare(side: int, rng: np.random.Generator) -> Light:
    spot = Image.new("L", (side, side))
    left, top = rng.uniform(-0.1, 0.8, 2) * side
    width, height = rng.uniform(0.1, 0.5, 2) * side
    ImageDraw.Draw(spot).ellipse((left, top, left + width, top + height), fill=255)
    return np.asarray(spot.filter(ImageFilter.GaussianBlur(side * 0.05)), dtype=np.float64)[..., None] / 255


def _picture(light: Light) -> Image.Image:
    return Image.fromarray((np.clip(light, 0, 1) * 255).round().astype(np.uint8))


def _square(side: float) -> Points:
    return np.array([(0, 0), (side, 0), (side, side), (0, side)], dtype=np.float64)


def _corners(centre: Points, half: float, rng: np.random.Generator) -> Points:
    """Where the corners come to lie: nearly a square, a little turned and tilted."""
    turn = rng.normal(0, 0.05)
    cos, sin = np.cos(turn), np.sin(turn)
    square = (_square(2 * half) - half) @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(centre + square + rng.normal(0, 0.025 * half, (4, 2)))


def _homography(source: Points, target: Points) -> NDArray[np.float64]:
    """The 3 by 3 matrix that takes four points to four points."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append((x, y, 1, 0, 0, 0, -u * x, -u * y))
        rows.append((0, 0, 0, x, y, 1, -v * x, -v * y))
    return np.append(np.linalg.solve(np.array(rows), target.reshape(-1)), 1.0).reshape(3, 3)


def _map(points: Points, matrix: NDArray[np.float64]) -> Points:
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _lay(scene: Image.Image, surface: Image.Image, matrix: NDArray[np.float64]) -> None:
    """Paste the surface into the scene in perspective, at double size so that the edges come out smooth."""
    large = (scene.width * _DETAIL, scene.height * _DETAIL)
    back = np.linalg.inv(np.diag([_DETAIL, _DETAIL, 1.0]) @ matrix)
    coefficients = tuple((back / back[2, 2]).reshape(-1)[:8])
    opaque = Image.new("L", surface.size, 255)
    method, filtering = Image.Transform.PERSPECTIVE, Image.Resampling.BICUBIC
    seen = surface.transform(large, method, coefficients, filtering).resize(scene.size, Image.Resampling.BOX)
    mask = opaque.transform(large, method, coefficients, filtering).resize(scene.size, Image.Resampling.BOX)
    scene.paste(seen, mask=mask)


def _fingers(scene: Image.Image, corners: Points, rng: np.random.Generator) -> None:
    """A thumb or two on the lower edge of the sheet."""
    skin = np.array(rng.choice([(228, 184, 154), (190, 140, 105), (110, 74, 54)]))
    for share in rng.uniform(0.05, 0.95, rng.integers(1, 3)):
        x, y = corners[3] + (corners[2] - corners[3]) * share
        width, length = scene.width * 0.045, scene.width * 0.13
        mask = Image.new("L", scene.size)
        ImageDraw.Draw(mask).ellipse((x - width, y - length, x + width, y + length), fill=255)
        red, green, blue = (int(value) for value in skin)
        scene.paste((red, green, blue), mask=mask.filter(ImageFilter.GaussianBlur(0.8)))
