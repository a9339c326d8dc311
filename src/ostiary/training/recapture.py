"""What a second capture leaves in a picture: one function for each physical effect.

A presentation attack shown to a camera is a picture of a picture. Each effect here is drawn in the plane of
the camera, around the face that it must not move. Lengths are in hundredths of the face's longer side, not
in pixels: a crop shows every face at one size, so a finer pattern than two of these would be averaged away
before a network saw it. Light is float32 (3, H, W) in 0..1 and may leave this range until ``to_picture``;
planes of colour make most effects one pass of NumPy. ``strength`` runs from 0, faint but there, to 1, plain.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

from ostiary.faces.detector import Box

Picture = NDArray[np.uint8]
Light = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels of a picture lie, seen from the middle of the face: ``x`` (W,) and ``y`` (H,).

    ``unit`` is the length of a hundredth of the face's longer side, in pixels.
    """

    x: Light
    y: Light
    unit: float

    @classmethod
    def around(cls, box: Box, shape: tuple[int, ...]) -> Grid:
        """The grid of a picture of this shape, (H, W, ...)."""
        unit = max(box.width, box.height) / 100
        x = (np.arange(shape[1]) + 0.5 - box.x - box.width / 2) / unit
        y = (np.arange(shape[0]) + 0.5 - box.y - box.height / 2) / unit
        return cls(x.astype(np.float32), y.astype(np.float32), unit)


def to_light(picture: Picture, gamma: float = 1.0) -> Light:
    """Grey levels to light, bent by the tone curve of what shows them."""
    if gamma != 1:
        curve = (255 * (np.arange(256) / 255) ** gamma + 0.5).astype(np.uint8).tobytes()
        # Bytes are translated several times faster than NumPy looks them up.
        picture = np.frombuffer(picture.tobytes().translate(curve), np.uint8).reshape(picture.shape)
    return np.ascontiguousarray(picture.transpose(2, 0, 1)) * np.float32(1 / 255)


def to_picture(light: Light) -> Picture:
    """Light to grey levels; what is too bright or too dark for the camera is cut off."""
    levels = np.asarray(np.clip(light, 0, 1) * np.float32(255) + np.float32(0.5), np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def compressed(picture: Picture, quality: int) -> Picture:
    """Once through JPEG: what is shown was stored before it was captured again."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def tilted(picture: Picture, grid: Grid, strength: float, curl: float, rng: np.random.Generator) -> Picture:
    """A screen or sheet that does not face the camera squarely, or that bends (``curl``, 0 for a screen).

    A homography and a bulge, both without movement in the middle of the face.
    """
    size = 0.02 + 0.08 * strength
    linear = np.eye(2) + rng.uniform(-size, size, (2, 2))
    vanishing = rng.uniform(-size, size, 2) / 100
    bulge = rng.uniform(-1, 1, 2) * 6 * curl
    wave, phase = rng.uniform(0.01, 0.03), rng.uniform(0, 2 * np.pi)
    height, width = picture.shape[:2]
    columns, rows = (np.linspace(0, side, _MESH + 1).round().astype(int) for side in (width, height))
    middle = np.array([0.5 / grid.unit - grid.x[0], 0.5 / grid.unit - grid.y[0]])
    target = np.stack(np.meshgrid(columns, rows), axis=-1) / grid.unit - middle
    source = target @ linear / (1 + np.maximum(target @ vanishing, -0.5))[..., None]
    source += bulge * (np.cos(wave * target[..., ::-1] + phase) - np.cos(phase))
    source = np.clip((source + middle) * grid.unit, 0, (width, height))
    mesh = [
        (
            (int(columns[j]), int(rows[i]), int(columns[j + 1]), int(rows[i + 1])),
            tuple(np.concatenate([source[i, j], source[i + 1, j], source[i + 1, j + 1], source[i, j + 1]])),
        )
        for i in range(_MESH)
        for j in range(_MESH)
        if columns[j] < columns[j + 1] and rows[i] < rows[i + 1]
    ]
    image = Image.fromarray(picture)
    return np.asarray(image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR))


def gamut(light: Light, *, black: float, white: float, saturation: float, cast: ArrayLike) -> Light:
    """The range of colours that a display or inks can show, and the cast that they give, (3,)."""
    cast = np.asarray(cast)[:, None]
    mixing = (white - black) * cast * (saturation * np.eye(3) + (1 - saturation) * np.array([0.299, 0.587, 0.114]))
    mixed = mixing.astype(np.float32) @ light.reshape(3, -1)
    mixed += (black * cast).astype(np.float32)
    return mixed.reshape(light.shape)


def exposed(light: Light, strength: float, rng: np.random.Generator) -> Light:
    """The automatic exposure and tone curve of the second camera: hard contrast, burnt or drowned parts."""
    pivot = rng.uniform(0.35, 0.6)
    contrast = 1 + rng.uniform(0.1, 0.2 + 0.7 * strength)
    return light * np.float32(contrast) + np.float32(pivot * (1 - contrast) + rng.uniform(-0.05, 0.18))


def haze(light: Light, strength: float, rng: np.random.Generator) -> Light:
    """Room light that a glass, a sheet or the lens scatters over the picture, more on one side."""
    colour = (rng.uniform(0.5, 0.9) * (1 + rng.normal(0, 0.04, (3, 1, 1)))).astype(np.float32)
    veil = np.float32(0.05 + 0.3 * strength) * _unevenness(light.shape, 2, 0.5, rng)
    return np.asarray(light * (1 - veil) + veil * colour)


def bloom(light: Light, strength: float, rng: np.random.Generator) -> Light:
    """Bright areas that spill over their surroundings in the glass of screen and lens: flat local contrast."""
    step = max(1, min(light.shape[1:]) // 32)
    small = Image.fromarray(to_picture(light[:, ::step, ::step]))
    spilt = small.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 4)))
    share = 0.15 + 0.3 * strength
    return light * np.float32(1 - share * rng.uniform(0.4, 1)) + _stretched(
        to_light(np.asarray(spilt)) * share, light
    )


def moire(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """The beat of a display's pixels with the camera's: bent, coloured gratings that come and go."""
    pattern = np.zeros_like(light)
    for _ in range(rng.integers(1, 3)):
        period = np.exp(rng.uniform(np.log(2.4), np.log(14)))
        phases = rng.uniform(0, 2 * np.pi) + rng.choice([0.0, 0.5, 1.0]) * _THIRDS
        pattern += _grating(grid, period, rng.uniform(0, np.pi), phases, rng.uniform(-0.2, 0.2, 2))
    pattern *= np.float32(0.05 + 0.2 * strength) * _unevenness(light.shape, 4, 0.6, rng)
    return light * (1 + pattern)


def pixels(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """The pixels of a display: columns of red, green and blue stripes, and the gaps between the rows."""
    period, angle = rng.uniform(2.4, 4.5), rng.normal(0, 0.04)
    pattern = _grating(grid, period, angle, rng.uniform(0, 2 * np.pi) + rng.choice([0.3, 1.0]) * _THIRDS)
    rows = _grating(grid, period, angle + np.pi / 2, rng.uniform(0, 2 * np.pi, 1))
    pattern += np.float32(rng.uniform(0, 0.8)) * rows
    return light * (1 + np.float32(0.06 + 0.16 * strength) * pattern)


def bands(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """Bars of brightness: the refresh of a display, or the dimming of its backlight, against the shutter."""
    lying = rng.random() < 0.7
    wave = np.sin(2 * np.pi * (grid.y if lying else grid.x) / rng.uniform(12, 90) + rng.uniform(0, 2 * np.pi))
    steep = rng.uniform(0.5, 4)
    profile = (0.05 + 0.15 * strength) * np.tanh(steep * wave) / np.tanh(steep)
    coloured = (1 + rng.uniform(0, 0.5, (3, 1)) * profile + profile).astype(np.float32)
    return np.asarray(light * (coloured[:, :, None] if lying else coloured[:, None, :]))


def glare(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """A lamp or a window mirrored in glass or in glossy paper, somewhere on the face."""
    side, across = 64, 150  # a canvas, and the units that it covers around the middle of the face
    spot = Image.new("L", (side, side))
    draw = ImageDraw.Draw(spot)
    for _ in range(rng.integers(1, 3)):
        width, height = rng.uniform(4, 22, 2)
        left, top = rng.uniform(14, 50, 2) - (width / 2, height / 2)
        right, bottom, lean = left + width, top + height, rng.uniform(-8, 8)
        if rng.random() < 0.5:
            draw.ellipse((left, top, right, bottom), fill=255)
        else:
            draw.polygon([(left + lean, top), (right + lean, top), (right, bottom), (left, bottom)], fill=255)
    spot = spot.filter(ImageFilter.GaussianBlur(float(rng.choice([1.0, 3.0, 6.0]))))
    rows, columns = (_between(along * (side / across) + side / 2, side) for along in (grid.y, grid.x))
    mask = rows @ np.asarray(spot, np.float32) @ columns.T
    tint = (0.15 + 0.45 * strength) / 255 * (1 + rng.normal(0, 0.08, (3, 1, 1)))
    return light + tint.astype(np.float32) * mask


def halftone(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """Dots of ink: a screen for cyan, magenta and yellow each, turned apart; least where ink is full or none."""
    period, turn = np.exp(rng.uniform(np.log(2.2), np.log(5))), rng.uniform(0, np.pi / 2)
    dots = np.empty_like(light)
    for plane, degrees in zip(dots, (15, 75, 0), strict=True):
        angle = turn + np.radians(degrees)
        along, across = (_grating(grid, period, angle + quarter, np.zeros(1)) for quarter in (0, np.pi / 2))
        np.add(along[0], across[0], out=plane)
    dots *= 1 - light
    dots *= np.float32(0.15 + 0.45 * strength)
    return light * (1 + dots)


def grain(light: Light, grid: Grid, strength: float, rng: np.random.Generator) -> Light:
    """Fibres of paper and dithered ink: noise as fine as a camera sees it, and blotches."""
    height, width = light.shape[1:]
    pitch = max(1.0, rng.uniform(0.8, 2.2) * grid.unit)
    noise = rng.standard_normal((int(height / pitch) + 1, int(width / pitch) + 1), np.float32)
    texture = np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BILINEAR))
    texture = texture + _unevenness(light.shape, 12, 1, rng) - np.float32(0.5)
    return light * (1 + np.float32(0.03 + 0.05 * strength) * texture)


def uneven(light: Light, strength: float, rng: np.random.Generator) -> Light:
    """Light that falls on a bent or tilted sheet: brighter on one side, shaded along its curls."""
    shade = _unevenness(light.shape, 3, 1, rng) - np.float32(0.5)
    return light * (1 + np.float32(0.3 + 0.7 * strength) * shade)


def framed(
    light: Light, behind: Light, grid: Grid, border: float, colour: ArrayLike, rng: np.random.Generator
) -> Light:
    """The edges of what is shown, turned a little, each somewhere around the face or outside the picture.

    Beyond an edge comes a ``border`` (a bezel, or the margin of a sheet), then ``behind``.
    """
    turn = rng.normal(0, 0.06)
    nearest = rng.integers(4)  # one edge at least is near enough for a crop to show
    inside = np.full(light.shape[1:], np.inf, np.float32)
    for edge, least in enumerate((44, 58, 44, 54)):
        distance = rng.uniform(least, least + (14 if edge == nearest else 60))
        angle = turn + rng.normal(0, 0.03) + edge * np.pi / 2
        across, down = (distance - np.cos(angle) * grid.x) * grid.unit, np.sin(angle) * grid.unit * grid.y
        np.minimum(inside, across.astype(np.float32) + down.astype(np.float32)[:, None], out=inside)
    shown = np.clip(inside + np.float32(0.5), 0, 1)
    whole = np.clip(inside + np.float32(border * grid.unit + 0.5), 0, 1)
    frame = np.asarray(colour, np.float32)[:, None, None]
    return np.asarray(light * shown + frame * (whole - shown) + behind * (1 - whole))


def surroundings(picture: Picture, rng: np.random.Generator) -> Light:
    """A room for behind the screen or sheet: the picture's own colours, out of focus, mirrored, lit otherwise."""
    mirrored = Image.fromarray(picture[::-1] if rng.random() < 0.5 else picture[:, ::-1])
    tiny = to_light(np.asarray(mirrored.resize((12, 12), Image.Resampling.BILINEAR, reducing_gap=1.0)))
    room = tiny * np.float32(rng.uniform(0.3, 1.5)) + np.float32(rng.uniform(-0.1, 0.2))
    return _stretched(room, np.empty((3, *picture.shape[:2]), np.float32))


def recaptured(picture: Picture, grid: Grid, strength: float, rng: np.random.Generator) -> Picture:
    """The second camera: out of focus or with fewer pixels, and often noisy."""
    image = Image.fromarray(picture)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.BoxBlur((0.4 + 1.8 * strength) * max(grid.unit, 0.5)))
    else:
        share = min(1.0, rng.uniform(0.9 - 0.45 * strength, 1) / max(grid.unit, 0.5))
        small = (max(1, round(share * image.width)), max(1, round(share * image.height)))
        image = image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)
    captured = np.asarray(image)
    if rng.random() < 0.5:
        noise = rng.standard_normal(picture.shape[:2], np.float32) * np.float32((1 + 5 * strength) / 255)
        captured = to_picture(to_light(captured) + noise)
    return captured


_MESH = 4
"""A warp is exact at the corners of so many tiles a side, and bilinear between them."""

_FINEST = 2.1
"""Shortest period of a pattern in pixels; a shorter one would alias into another pattern."""

_THIRDS = np.array([0, 1, 2]) * (2 * np.pi / 3)


def _grating(
    grid: Grid, period: float, angle: float, phases: NDArray[np.floating], bend: ArrayLike = (0.0, 0.0)
) -> Light:
    """Plane waves, (len(phases), H, W), in -1..1; ``bend`` curves them along x and y.

    The cosine of a sum of x and y is a product of matrices, which makes it almost free.
    """
    wave = 2 * np.pi / max(period, _FINEST / grid.unit)
    bend_x, bend_y = np.asarray(bend) / 100
    across = wave * (np.cos(angle) * grid.x + bend_x * grid.x**2) + phases[:, None]
    down = wave * (np.sin(angle) * grid.y + bend_y * grid.y**2)
    left = np.stack([np.cos(down), -np.sin(down)], axis=1).astype(np.float32)
    return left @ np.stack([np.cos(across), np.sin(across)], axis=1).astype(np.float32)


def _unevenness(shape: tuple[int, ...], cells: int, depth: float, rng: np.random.Generator) -> Light:
    """A smooth field (H, W) in 1 - depth..1, ``cells`` random values a side."""
    coarse = rng.uniform(1 - depth, 1, (cells, cells)).astype(np.float32)
    return _stretched(coarse, np.empty(shape[1:], np.float32))


def _stretched(coarse: Light, like: Light) -> Light:
    """A coarse field (..., h, w), spread smoothly over the size of another."""
    sides = zip(like.shape[-2:], coarse.shape[-2:], strict=True)
    rows, columns = (_between((np.arange(side) + 0.5) * (cells / side), cells) for side, cells in sides)
    return np.asarray(rows @ coarse @ columns.T, np.float32)


def _between(positions: NDArray[np.floating], cells: int) -> Light:
    """How much each of ``cells`` values counts at these positions, (N, cells); the middle of cell i is i + 0.5."""
    place = np.clip(positions - 0.5, 0, cells - 1)
    distance = np.clip(np.abs(place[:, None] - np.arange(cells)), 0, 1)
    return np.asarray(1 - distance**2 * (3 - 2 * distance), np.float32)
