"""Drawn faces: people with features of their own, under changing light, pose and background.

Everything is drawn in face units: the origin between the cheeks, x to the right, y down, the head 1 to each
side. A :class:`Person` stays the same over pictures; a :class:`Shot` is one occasion of being photographed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ostiary.data.synthetic_scene import draw_background

Colour = tuple[int, int, int]
Points = NDArray[np.float64]  # (N, 2), x and y

_SKIN = np.array([(250, 222, 200), (232, 190, 160), (205, 155, 120), (160, 110, 78), (105, 70, 50), (66, 44, 34)])
_HAIR = np.array([(28, 24, 24), (60, 40, 28), (110, 72, 42), (190, 150, 90), (140, 60, 36), (150, 148, 146)])
_IRIS = np.array([(60, 40, 25), (85, 60, 35), (70, 95, 70), (75, 110, 140), (95, 100, 105)])


@dataclass(frozen=True, slots=True)
class Person:
    """What stays the same about somebody; lengths in face units."""

    skin: Colour
    hair: Colour
    iris: Colour
    height: float
    jaw: float
    eye_distance: float
    eye_size: float
    brow: float
    nose: float
    mouth: float
    hairline: float
    long_hair: bool
    glasses: bool
    beard: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One occasion: ``centre`` and ``half_width`` of the face are shares of the picture, ``roll`` radians."""

    centre: tuple[float, float]
    half_width: float
    roll: float
    turn: float
    light: tuple[float, float]
    ambient: float
    smile: float
    gaze: float
    clothes: Colour
    background: int


def draw_person(rng: np.random.Generator) -> Person:
    """Somebody new."""
    return Person(
        skin=_between(_SKIN, rng),
        hair=_between(_HAIR, rng),
        iris=_between(_IRIS, rng),
        height=rng.uniform(1.22, 1.4),
        jaw=rng.uniform(0.62, 0.84),
        eye_distance=rng.uniform(0.38, 0.46),
        eye_size=rng.uniform(0.17, 0.22),
        brow=rng.uniform(0.03, 0.075),
        nose=rng.uniform(0.14, 0.22),
        mouth=rng.uniform(0.28, 0.4),
        hairline=rng.uniform(0.62, 0.86),
        long_hair=bool(rng.random() < 0.4),
        glasses=bool(rng.random() < 0.25),
        beard=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.25 else 0.0,
    )


def draw_shot(rng: np.random.Generator) -> Shot:
    """A new occasion."""
    return Shot(
        centre=(rng.uniform(0.42, 0.58), rng.uniform(0.43, 0.54)),
        half_width=rng.uniform(0.2, 0.29),
        roll=rng.normal(0, 0.07),
        turn=float(np.clip(rng.normal(0, 0.08), -0.18, 0.18)),
        light=(rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.1)),
        ambient=rng.uniform(0.45, 0.8),
        smile=rng.uniform(-0.2, 1.0),
        gaze=rng.uniform(-0.3, 0.3),
        clothes=_colour(rng.uniform(20, 225) + rng.normal(0, 25, 3)),
        background=int(rng.integers(2**31)),
    )


def draw_face(person: Person, shot: Shot, size: int, *, oversampling: int = 2) -> tuple[Image.Image, Points]:
    """The picture, RGB ``size`` by ``size``, and the outline of the face from hairline to chin in its pixels.

    It is drawn ``oversampling`` times as large, then reduced, for smooth edges.
    """
    pen = _Pen(draw_background(np.random.default_rng(shot.background), size * oversampling), shot)
    _body(pen, person, shot)
    outline = _head(pen, person, shot)
    _features(pen, person, shot)
    _hair(pen, person)
    picture = pen.canvas.resize((size, size), Image.Resampling.LANCZOS)
    face = outline[outline[:, 1] > -person.hairline * person.height]
    return picture, pen.place(face) / oversampling


class _Pen:
    """Draws shapes that are given in face units, sharp or soft."""

    def __init__(self, canvas: Image.Image, shot: Shot) -> None:
        self.canvas = canvas
        side = canvas.width
        self.unit = shot.half_width * side
        cos, sin = np.cos(shot.roll), np.sin(shot.roll)
        self._rotation = np.array([[cos, -sin], [sin, cos]])
        self._origin = np.array(shot.centre) * side

    def place(self, points: Points) -> Points:
        """Face units to pixels of the canvas."""
        return np.asarray(points @ self._rotation.T * self.unit + self._origin, dtype=np.float64)

    def grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The face coordinates of every pixel."""
        side = self.canvas.width
        y, x = np.mgrid[:side, :side]
        flat = (np.stack([x, y], axis=-1) - self._origin) / self.unit @ self._rotation
        return flat[..., 0], flat[..., 1]

    def paint(
        self, points: Points, colour: Colour | Image.Image, *, opacity: float = 1.0, soft: float = 0.0
    ) -> None:
        """Lay a colour, or a picture as large as the canvas, over a shape blurred by ``soft`` face units.

        Only the neighbourhood of the shape is touched, since most shapes are small.
        """
        placed, blur = self.place(points), soft * self.unit
        left, top = np.floor(np.maximum(placed.min(axis=0) - 3 * blur - 1, 0)).astype(int).tolist()
        right, bottom = (
            np.ceil(np.minimum(placed.max(axis=0) + 3 * blur + 1, self.canvas.width)).astype(int).tolist()
        )
        if right <= left or bottom <= top:
            return
        region = (left, top, right, bottom)
        mask = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in placed - (left, top)], fill=round(255 * opacity))
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        self.canvas.paste(colour.crop(region) if isinstance(colour, Image.Image) else colour, region, mask)


def _body(pen: _Pen, person: Person, shot: Shot) -> None:
    if person.long_hair:
        pen.paint(_oval(0, 0.25, 1.22, person.height + 0.35), person.hair, soft=0.04)
    chin = person.height
    neck = np.array([(-0.5, 0.6), (0.5, 0.6), (0.58, chin + 0.6), (-0.58, chin + 0.6)])
    pen.paint(neck, _darker(person.skin, 0.72), soft=0.03)
    pen.paint(_oval(0, chin + 1.65, 2.1, 1.4), shot.clothes, soft=0.02)
    pen.paint(_oval(0, chin + 0.32, 0.55, 0.3), _darker(person.skin, 0.8), soft=0.04)
    for side in (-1, 1):
        pen.paint(_oval(side * 1.0, 0.02, 0.14, 0.27), _darker(person.skin, 0.86), soft=0.02)


def _head(pen: _Pen, person: Person, shot: Shot) -> Points:
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x, y = np.cos(angle), np.sin(angle) * person.height
    narrowing = 1 - (1 - person.jaw) * np.clip(y / person.height, 0, 1) ** 2
    outline = np.column_stack([x * narrowing, y])
    gx, gy = pen.grid()
    nx, ny = np.clip(gx, -1, 1) * 0.95, np.clip(gy / person.height, -1, 1) * 0.8
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
    light = np.array([*shot.light, 1.0]) / np.hypot(np.hypot(*shot.light), 1.0)
    lambert = np.clip(nx * light[0] + ny * light[1] + nz * light[2], 0, 1)
    shade = shot.ambient + (1.12 - shot.ambient) * lambert
    skin = np.clip(np.array(person.skin) * shade[..., None], 0, 255).astype(np.uint8)
    pen.paint(outline, Image.fromarray(skin), soft=0.02)
    return outline


def _features(pen: _Pen, person: Person, shot: Shot) -> None:
    dark, red = _darker(person.skin, 0.62), _mixed(person.skin, (190, 60, 60), 0.35)
    turn = shot.turn
    for side in (-1, 1):
        pen.paint(_oval(side * 0.52 + turn, 0.35, 0.24, 0.2), red, opacity=0.35, soft=0.12)
        pen.paint(_oval(side * person.eye_distance + turn, -0.18, 0.3, 0.2), dark, opacity=0.4, soft=0.08)
        _eye(pen, person, shot, side)
    _nose(pen, person, turn)
    _mouth(pen, person, shot)
    if person.beard:
        jaw = _oval(turn * 0.5, 0.78, 0.74, 0.58)
        pen.paint(jaw, _mixed(person.hair, person.skin, 0.3), opacity=person.beard, soft=0.14)
        _mouth(pen, person, shot)


def _eye(pen: _Pen, person: Person, shot: Shot, side: int) -> None:
    x, y, w = side * person.eye_distance + shot.turn, -0.18, person.eye_size
    h = w * 0.46
    almond = _oval(x, y, w, h, power=0.8)
    pen.paint(almond, (238, 234, 230), soft=0.008)
    iris_x = x + shot.gaze * w * 0.5
    pen.paint(_oval(iris_x, y, h * 0.98, h * 0.98), person.iris, soft=0.008)
    pen.paint(_oval(iris_x, y, h * 0.5, h * 0.5), (12, 10, 10))
    glint = np.sign(shot.light[0]) * h * 0.3
    pen.paint(_oval(iris_x + glint, y - h * 0.35, h * 0.2, h * 0.2), (255, 255, 255))
    lid = _arc(x, y + 0.01, w * 1.06, h * 1.15, 0.045)
    pen.paint(lid, _mixed(_darker(person.skin, 0.3), (20, 14, 12), 0.6), soft=0.008)
    pen.paint(_arc(x, y - 0.07, w * 1.15, h * 1.2, 0.02), _darker(person.skin, 0.55), opacity=0.7, soft=0.015)
    pen.paint(_arc(x, y, w, -h, -0.018), _darker(person.skin, 0.5), opacity=0.6, soft=0.01)
    brow = _arc(x + side * 0.02, -0.33, w * 1.35, 0.12, person.brow * 1.6)
    pen.paint(brow, _mixed(person.hair, (30, 22, 18), 0.4), opacity=0.9, soft=0.018)
    if person.glasses:
        outer, inner = _oval(x, y + 0.04, 0.31, 0.25, power=0.8), _oval(x, y + 0.04, 0.275, 0.215, power=0.8)
        pen.paint(np.concatenate([outer, outer[:1], inner[:1], inner[::-1]]), (35, 32, 32), soft=0.006)


def _nose(pen: _Pen, person: Person, turn: float) -> None:
    tip, width = 0.34 + turn * 0.1, person.nose
    x = turn * 1.4
    lit, dark = _mixed(person.skin, (255, 250, 240), 0.45), _darker(person.skin, 0.6)
    shadow = np.array([(x + 0.05, -0.2), (x + width, tip), (x + width * 0.4, tip + 0.04), (x + 0.07, 0.1)])
    pen.paint(shadow, dark, opacity=0.4, soft=0.04)
    pen.paint(_oval(x, 0.05, 0.045, 0.3), lit, opacity=0.45, soft=0.04)
    pen.paint(_oval(x, tip - 0.02, width * 0.55, 0.08), lit, opacity=0.45, soft=0.04)
    pen.paint(_oval(x, tip + 0.1, width * 1.0, 0.04), dark, opacity=0.55, soft=0.035)
    for side in (-1, 1):
        nostril = _oval(x + side * width * 0.5, tip + 0.06, 0.05, 0.025)
        pen.paint(nostril, _darker(person.skin, 0.28), soft=0.015)
        pen.paint(_oval(x + side * width * 1.0, tip + 0.02, 0.03, 0.07), dark, opacity=0.5, soft=0.025)


def _mouth(pen: _Pen, person: Person, shot: Shot) -> None:
    x, y, w = shot.turn * 1.1, 0.74, person.mouth * (1 + 0.18 * shot.smile)
    lip = _mixed(person.skin, (165, 50, 60), 0.5)
    lift = -0.1 * shot.smile
    across = np.linspace(-1, 1, 25)
    line = y + lift * across**2
    bow = 0.075 * (1 - across**2) * (1 - 0.3 * np.exp(-((across / 0.16) ** 2)))
    full = 0.11 * (1 - across**2)
    columns = x + w * across
    upper, lower = _strip(columns, line - bow, line), _strip(columns, line, line + full)
    pen.paint(_oval(x, y + 0.2, w * 0.6, 0.05), _darker(person.skin, 0.6), opacity=0.4, soft=0.04)
    pen.paint(upper, _darker(lip, 0.85), soft=0.012)
    pen.paint(lower, lip, soft=0.012)
    pen.paint(_oval(x, y + 0.055, w * 0.4, 0.02), _mixed(lip, (255, 240, 235), 0.5), opacity=0.5, soft=0.02)
    pen.paint(_strip(columns, line - 0.012, line + 0.012), _darker(lip, 0.3), soft=0.008)


def _hair(pen: _Pen, person: Person) -> None:
    angle = np.linspace(np.pi * 1.02, np.pi * 1.98, 40)
    outer = np.column_stack([1.07 * np.cos(angle), (person.height + 0.1) * np.sin(angle)])
    across = np.linspace(1, -1, 40)
    inner = np.column_stack([across * 0.94, -person.hairline * person.height * (1 - np.abs(across) ** 3.2) - 0.1])
    pen.paint(np.concatenate([outer, inner]), person.hair, soft=0.025)
    sheen, lit = _oval(-0.2, -person.height * 0.93, 0.5, 0.07), _mixed(person.hair, (255, 255, 255), 0.35)
    pen.paint(sheen, lit, opacity=0.4, soft=0.08)


def _oval(x: float, y: float, rx: float, ry: float, power: float = 1.0) -> Points:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.column_stack([x + rx * np.sign(cos) * np.abs(cos) ** power, y + ry * sin])


def _arc(x: float, y: float, rx: float, ry: float, thickness: float) -> Points:
    """The upper edge of an ellipse as a band thinning out to its ends; the lower edge if ry is negative."""
    angle = np.linspace(np.pi, 2 * np.pi, 24)
    cos, sin = np.cos(angle), np.sin(angle)
    outer = np.column_stack([x + rx * cos, y + ry * sin - thickness * np.abs(sin)])
    inner = np.column_stack([x + rx * cos, y + ry * sin])
    return np.concatenate([outer, inner[::-1]])


def _strip(x: Points, top: Points, bottom: Points) -> Points:
    return np.column_stack([np.r_[x, x[::-1]], np.r_[top, bottom[::-1]]])


def _between(palette: NDArray[Any], rng: np.random.Generator) -> Colour:
    position = rng.uniform(0, len(palette) - 1)
    low = int(position)
    mixed = palette[low] + (palette[min(low + 1, len(palette) - 1)] - palette[low]) * (position - low)
    return _colour(mixed)


def _darker(colour: Colour, factor: float) -> Colour:
    return _colour(np.array(colour) * factor)


def _mixed(colour: Colour, other: Colour, share: float) -> Colour:
    return _colour(np.array(colour) * (1 - share) + np.array(other) * share)


def _colour(values: NDArray[Any]) -> Colour:
    red, green, blue = (round(value) for value in np.clip(values, 0, 255))
    return red, green, blue
