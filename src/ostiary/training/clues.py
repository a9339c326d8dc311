"""Simulated spoofing clues: a bona fide face becomes an attack that was never made.

Data sets hold few attacks, each set with the screens, papers and rooms of one laboratory. What recapturing
does to a picture is physics, though, and the same everywhere: so it is painted onto bona fide faces of any
origin, in random combinations from faint to plain, and a network that has seen it has more to go by than the
room. ``recapture.py`` has the single effects; this file says which come together.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ostiary.faces.detector import Box
from ostiary.training import recapture
from ostiary.training.recapture import Grid, Light, Picture

Species = Literal["replay_simulated", "print_simulated", "recapture_simulated"]

SPECIES: tuple[Species, ...] = ("replay_simulated", "print_simulated", "recapture_simulated")

LEAST_CHANGE = 4.0
"""A painted face differs from its original by at least so many grey levels, in the mean over the face."""


class Clues(BaseModel):
    """What is painted, how often and how strongly.

    ``replays``, ``prints`` and ``recaptures`` are the shares of the three species, in any unit. The strength of
    each clue is drawn from ``faintest`` to ``plainest``, both in 0..1, more often near the former. The rest are
    probabilities of single clues. The colours of display and paper are always painted, and at least one of the
    marks that no plain camera leaves: moire, pixels, bands, bezel or glare; halftone, grain, sheet or glare.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    replays: float = Field(default=0.5, ge=0)
    prints: float = Field(default=0.4, ge=0)
    recaptures: float = Field(default=0.1, ge=0)
    faintest: float = Field(default=0.0, ge=0, le=1)
    plainest: float = Field(default=1.0, ge=0, le=1)

    moire: float = Field(default=0.5, ge=0, le=1)
    pixels: float = Field(default=0.35, ge=0, le=1)
    bands: float = Field(default=0.3, ge=0, le=1)
    bezel: float = Field(default=0.35, ge=0, le=1)
    halftone: float = Field(default=0.5, ge=0, le=1)
    grain: float = Field(default=0.5, ge=0, le=1)
    sheet: float = Field(default=0.35, ge=0, le=1)
    glare: float = Field(default=0.3, ge=0, le=1)

    tilt: float = Field(default=0.6, ge=0, le=1)
    uneven: float = Field(default=0.6, ge=0, le=1)
    exposed: float = Field(default=0.5, ge=0, le=1)
    haze: float = Field(default=0.3, ge=0, le=1)
    bloom: float = Field(default=0.4, ge=0, le=1)
    blur: float = Field(default=0.7, ge=0, le=1)
    stored: float = Field(default=0.3, ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Clues:
        if self.replays + self.prints + self.recaptures <= 0:
            raise ValueError("one of the shares replays, prints and recaptures must be above 0")
        if self.faintest > self.plainest:
            raise ValueError(f"faintest {self.faintest} is above plainest {self.plainest}")
        for marks in (_SCREEN_MARKS, _PAPER_MARKS):
            if not any(getattr(self, mark) for mark in marks):
                raise ValueError(f"one of {', '.join(marks)} must be above 0")
        return self

    def paint(self, picture: NDArray[np.uint8], box: Box, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Paint an attack of a species drawn by the shares; see :meth:`paint_as`."""
        return self.paint_as(self.draw(rng), picture, box, rng)

    def draw(self, rng: np.random.Generator) -> Species:
        """Draw a species by the shares."""
        shares = np.array([self.replays, self.prints, self.recaptures])
        return SPECIES[int(rng.choice(len(SPECIES), p=shares / shares.sum()))]

    def paint_as(
        self, species: Species, picture: NDArray[np.uint8], box: Box, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Turn a bona fide picture into a drawn attack of this species.

        The face stays where it is, so that ``box`` holds for the painted picture too. All is drawn from
        ``rng``: the same state gives the same picture.

        Args:
            species: one of :data:`SPECIES`.
            picture: RGB (H, W, 3), with what there is around the face; it is not changed.
            box: of the face.
            rng: the source of every draw.

        Returns:
            RGB (H, W, 3), at least :data:`LEAST_CHANGE` away from ``picture`` within the box.

        """
        painting = _Painting(self, picture, box, rng)
        if species == "replay_simulated":
            painted = painting.screen()
        elif species == "print_simulated":
            painted = painting.paper()
        else:
            painted = painting.second_capture()
        return _visible(painted, picture, box)


_SCREEN_MARKS = ("moire", "pixels", "bands", "bezel", "glare")
_PAPER_MARKS = ("halftone", "grain", "sheet", "glare")


class _Painting:
    """One picture in the making: the effects in the order in which light passes them."""

    def __init__(self, clues: Clues, picture: Picture, box: Box, rng: np.random.Generator) -> None:
        self.clues = clues
        self.picture = picture
        self.grid = Grid.around(box, picture.shape)
        self.rng = rng

    def screen(self) -> Picture:
        """A phone, tablet or monitor that shows the face."""
        rng, marks = self.rng, self._marks(_SCREEN_MARKS)
        light = recapture.to_light(self._shown(curl=0.0), gamma=rng.uniform(0.75, 1.5))
        light = recapture.gamut(
            light,
            black=0.1 * self._strength(),
            white=rng.uniform(0.85, 1.05),
            saturation=rng.uniform(0.7, 1.5),
            cast=np.exp(rng.normal((0.0, 0.0, 0.03), (0.08, 0.03, 0.1))),
        )
        if "pixels" in marks:
            light = recapture.pixels(light, self.grid, self._strength(), rng)
        if "bands" in marks:
            light = recapture.bands(light, self.grid, self._strength(), rng)
        if self._happens("bloom"):
            light = recapture.bloom(light, self._strength(), rng)
        if "bezel" in marks:
            shade = rng.choice([0.04, 0.12, 0.85], p=[0.6, 0.2, 0.2]) * np.exp(rng.normal(0, 0.05, 3))
            light = self._framed(light, rng.uniform(1.5, 20), shade)
        if "moire" in marks:
            light = recapture.moire(light, self.grid, self._strength(), rng)
        return self._captured(light, glossy="glare" in marks)

    def paper(self) -> Picture:
        """A sheet that bears the face."""
        rng, marks = self.rng, self._marks(_PAPER_MARKS)
        curl = self._strength() if self._happens("uneven") else 0.0
        light = recapture.to_light(self._shown(curl), gamma=rng.uniform(0.75, 1.35))
        white = rng.uniform(0.78, 1.0)
        cast = np.exp(rng.normal((0.03, 0.0, -0.03), (0.06, 0.03, 0.08)))
        light = recapture.gamut(
            light,
            black=0.03 + 0.14 * self._strength(),
            white=white,
            saturation=rng.uniform(0.5, 1.2),
            cast=cast,
        )
        if "halftone" in marks:
            light = recapture.halftone(light, self.grid, self._strength(), rng)
        if "grain" in marks:
            light = recapture.grain(light, self.grid, self._strength(), rng)
        if "sheet" in marks:
            light = self._framed(light, rng.choice([0.0, rng.uniform(1, 15)]), white * cast)
        if self._happens("uneven"):
            light = recapture.uneven(light, self._strength(), rng)
        return self._captured(light, glossy="glare" in marks)

    def second_capture(self) -> Picture:
        """What any recapture does, whatever bears the face: colours, contrast and sharpness suffer twice."""
        rng = self.rng
        light = recapture.gamut(
            recapture.to_light(self._shown(curl=0.0), gamma=rng.uniform(0.8, 1.4)),
            black=0.03 + 0.07 * self._strength(),
            white=rng.uniform(0.8, 1.0),
            saturation=rng.uniform(0.6, 1.3),
            cast=np.exp(rng.normal(0, (0.08, 0.03, 0.08))),
        )
        light = recapture.haze(recapture.bloom(light, self._strength(), rng), self._strength(), rng)
        return recapture.recaptured(recapture.to_picture(light), self.grid, self._strength(), rng)

    def _marks(self, names: tuple[str, ...]) -> set[str]:
        """The marks of this picture, each by its probability; one of them where none came up."""
        chances = np.array([getattr(self.clues, name) for name in names])
        drawn = {name for name, chance in zip(names, chances, strict=True) if self.rng.random() < chance}
        return drawn or {str(self.rng.choice(names, p=chances / chances.sum()))}

    def _shown(self, curl: float) -> Picture:
        """The picture as the screen or sheet bears it, stored before and seen from where the camera stands."""
        picture = self.picture
        if self._happens("stored"):
            picture = recapture.compressed(picture, int(self.rng.integers(35, 90)))
        if curl or self._happens("tilt"):
            picture = recapture.tilted(picture, self.grid, self._strength(), curl, self.rng)
        return picture

    def _framed(self, light: Light, border: float, colour: NDArray[np.floating]) -> Light:
        behind = recapture.surroundings(self.picture, self.rng)
        return recapture.framed(light, behind, self.grid, border, colour, self.rng)

    def _captured(self, light: Light, *, glossy: bool) -> Picture:
        """From the screen or sheet through the air into the second camera."""
        if glossy:
            light = recapture.glare(light, self.grid, self._strength(), self.rng)
        if self._happens("haze"):
            light = recapture.haze(light, self._strength(), self.rng)
        if self._happens("exposed"):
            light = recapture.exposed(light, self._strength(), self.rng)
        picture = recapture.to_picture(light)
        if self._happens("blur"):
            picture = recapture.recaptured(picture, self.grid, self._strength(), self.rng)
        return picture

    def _happens(self, name: str) -> bool:
        return bool(self.rng.random() < getattr(self.clues, name))

    def _strength(self) -> float:
        """More often faint than plain, as with real ones."""
        return float(self.clues.faintest + (self.clues.plainest - self.clues.faintest) * self.rng.random() ** 2)


def _visible(painted: Picture, picture: Picture, box: Box) -> Picture:
    """The painted picture, with a veil over it where painting has hardly changed the face.

    An attack without a clue would be a bona fide picture with the wrong label.
    """
    height, width = picture.shape[:2]
    rows = slice(max(0, int(box.y)), max(0, min(height, round(box.y + box.height))))
    columns = slice(max(0, int(box.x)), max(0, min(width, round(box.x + box.width))))
    face, was = painted[rows, columns].astype(np.float32), picture[rows, columns]
    if not face.size or np.abs(face - was).mean() >= LEAST_CHANGE:
        return painted
    # Black or white, whichever is farther: by 127 levels in the mean at least. So twice the least change of
    # it, and a level for rounding, is more than what it can cancel.
    veil = 255.0 if face.mean() < 127.5 else 0.0
    share = (2 * LEAST_CHANGE + 1) / np.abs(veil - face).mean()
    return np.asarray(painted + share * (veil - painted.astype(np.float32)) + 0.5, np.uint8)
