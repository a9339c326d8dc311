"""What the network looks at: hide one part of the crop after the other, and see how much the answer changes.

Occlusion (Zeiler and Fergus 2014) needs nothing but the weights that are shipped. A part is hidden by a blur with
a soft edge (Fong and Vedaldi 2017): a grey patch would put an edge into the picture that looks like an
attack by itself. Where hiding lowers the log-odds of liveness, the network took that part for a living person;
where it raises them, for an attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ostiary.errors import ConfigurationError, InputError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import FaceDetector
from ostiary.images import read_image
from ostiary.reports.plots import figure
from ostiary.runtime.liveness import LivenessModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATCH = 0.09
"""Standard deviation of the hiding spot over the side of the crop: it hides about a fifth of the side."""
STEPS = 12
"""The spot stands at so many places along each side: 144 crops, which takes seconds."""
MEAN_STEPS = 8
"""The same for a mean over many pictures, which evens out what is coarse."""
FRAME = 1 / 8
"""Width of the outer frame of a crop, over its side; the face itself hardly ever reaches into it."""
FRAME_AREA = 1 - (1 - 2 * FRAME) ** 2
BATCH = 32


class HasLogits(Protocol):
    """What an explanation asks of a model; ``ostiary.runtime.liveness.LivenessModel`` has it."""

    def logits(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Crops (N, size, size, 3) -> logits (N, 2): attack, bona fide."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """``effect`` (size, size): by how much hiding that place lowers the log-odds of liveness.

    Positive where the network saw a living person, negative where it saw an attack. ``log_odds`` are those of
    the whole crop; its liveness is their logistic.
    """

    effect: NDArray[np.float64]
    log_odds: float

    @property
    def liveness(self) -> float:
        """Of the whole crop, in [0, 1]."""
        return float(1 / (1 + np.exp(-self.log_odds)))


def explain(
    model: HasLogits,
    crop: NDArray[np.uint8],
    word: str | None = None,
    *,
    steps: int = STEPS,
    patch: float = PATCH,
) -> Explanation:
    """The occlusion map of one crop under one configuration.

    Args:
        model: a liveness model.
        crop: RGB (size, size, 3), cut as the model's preprocess record says.
        word: configuration, or None for the default.
        steps: the spot stands at ``steps`` x ``steps`` places; so many crops are judged.
        patch: standard deviation of the spot, as a share of the side.

    """
    size = len(crop)
    profile = _spots(size, steps, patch)
    hidden = np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(size / 8)), np.float32)
    log_odds = _log_odds(model, crop[None], word)[0]
    places = [(row, column) for row in range(steps) for column in range(steps)]
    falls = np.zeros((steps, steps))
    for start in range(0, len(places), BATCH):
        rows, columns = np.array(places[start : start + BATCH]).T
        masks = (profile[rows][:, :, None] * profile[columns][:, None, :])[..., None]
        crops = np.rint(crop + masks * (hidden - crop)).astype(np.uint8)
        falls[rows, columns] = log_odds - _log_odds(model, crops, word)
    spread = profile / profile.sum(axis=0)
    return Explanation(spread.T @ falls @ spread, float(log_odds))


@dataclass(frozen=True, slots=True)
class MeanMap:
    """The explanations of ``n`` crops of one kind, laid over each other; arrays are (size, size).

    ``picture`` is the mean crop in grey levels, ``effect`` the mean effect with its sign, ``strength`` the
    mean of the effects' sizes, each picture's summing to 1: where the network looks, whatever it sees there.
    """

    picture: NDArray[np.float64]
    effect: NDArray[np.float64]
    strength: NDArray[np.float64]
    n: int

    @property
    def frame_share(self) -> float:
        """Share of the effect in the outer frame (``FRAME``), which covers ``FRAME_AREA`` of the crop."""
        size = len(self.strength)
        edge = round(FRAME * size)
        return float(1 - self.strength[edge : size - edge, edge : size - edge].sum() / self.strength.sum())

    def describe(self) -> str:
        """In words, whether the network looks at the face or at the borders."""
        ratio = self.frame_share / FRAME_AREA
        where = "at the face and around it alike"
        if not 0.8 < ratio < 1.2:
            where = "mainly at the face" if ratio < 1 else "mainly at the borders"
        return (
            f"{where}: {100 * self.frame_share:.0f} % of the effect lies in the outer frame, which covers "
            f"{100 * FRAME_AREA:.0f} % of the picture (mean of {self.n} pictures)."
        )


def mean_map(
    model: HasLogits, crops: Iterable[NDArray[np.uint8]], word: str | None = None, *, steps: int = MEAN_STEPS
) -> MeanMap | None:
    """The mean of the occlusion maps of several crops, or None if there is no crop. Arguments as ``explain``."""
    pictures, effects = [], []
    for crop in crops:
        pictures.append(crop.mean(axis=2))
        effects.append(explain(model, crop, word, steps=steps).effect)
    if not effects:
        return None
    sizes = np.abs(effects)
    totals = sizes.sum(axis=(1, 2), keepdims=True)
    even = np.full_like(sizes, 1 / sizes[0].size)  # a picture that nothing changes was looked at nowhere more
    strength = np.divide(sizes, totals, out=even, where=totals > 0)
    return MeanMap(np.mean(pictures, axis=0), np.mean(effects, axis=0), strength.mean(axis=0), len(effects))


def explain_picture(
    image: Path, out: Path, *, configuration: str | None = None, weights: Path | str | None = None
) -> str:
    """Explain the verdict on the largest face of a picture in the PNG ``out``, and return it as a sentence.

    Raises:
        ImageError: the picture cannot be read.
        InputError: no face is found in it.
        ConfigurationError: no such word, or ``out`` is no PNG or cannot be written.

    """
    if out.suffix.lower() != ".png":
        raise ConfigurationError(f"{out}: an explanation is written as a PNG; let the name end in .png.")
    model = LivenessModel(weights)
    word = model.metadata.default_configuration if configuration is None else configuration
    threshold = model.threshold(word).value
    pixels = read_image(image)
    faces = FaceDetector().detect(pixels)
    if not faces:
        raise InputError(f"{image}: no face is found in it, so there is nothing to explain; try another picture.")
    crop = loose_crop(pixels, faces[0].box, model.metadata.preprocess)
    found = explain(model, crop, word)
    verdict = "accepted" if found.liveness >= threshold else "refused"
    sentence = f"{verdict}: liveness {found.liveness:.3f}, threshold {threshold:.3f}, configuration {word}"
    partial = out.with_name(f".{out.stem}.partial.png")
    try:
        draw_explanation(found, crop, partial, sentence)
        partial.replace(out)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{out}: cannot be written ({reason}); name a file in another folder.") from None
    return sentence


def draw_explanation(found: Explanation, crop: NDArray[np.uint8], path: Path, title: str) -> None:
    """A PNG with the crop, and beside it the map over the crop in grey."""
    with figure(path, [], (9.4, 4.9), 1, 2) as (plain, mapped):
        plain.imshow(crop)
        plain.set_title("what the network is given")
        limit = max(_LEAST_LIMIT, float(np.abs(found.effect).max()))
        _overlay(mapped, crop.mean(axis=2), found.effect, limit)
        mapped.set_title("what it made of each part")
        _bare((plain, mapped))
        mapped.figure.suptitle(title)


def draw_mean_maps(maps: Mapping[str, MeanMap], path: Path, title: str) -> None:
    """A PNG with a row for each kind of presentation: mean crop, mean map, and where the network looks."""
    with figure(path, [], (12.4, 0.5 + 3.9 * len(maps)), len(maps), 3) as grid:
        rows = np.reshape(grid, (len(maps), 3))
        limit = max(_LEAST_LIMIT, *(float(np.abs(found.effect).max()) for found in maps.values()))
        for (kind, found), (plain, mapped, looked) in zip(maps.items(), rows, strict=True):
            plain.imshow(found.picture, cmap="gray", vmin=0, vmax=255)
            plain.set_ylabel(f"{kind}\nmean of {found.n}")
            _overlay(mapped, found.picture, found.effect, limit)
            _look(looked, found)
            _bare((plain, mapped, looked))
        for axes, name in zip(
            rows[0], ("the pictures", "what it makes of each part", "where it looks"), strict=True
        ):
            axes.set_title(name)
        rows[0, 0].figure.suptitle(title)


_COLUMN_TITLES = ("the pictures", "what it makes of each part", "where it looks")
_LEAST_LIMIT = 0.2
"""The colours never span less than this much log-odds: noise is not blown up to a finding."""


def _overlay(axes: Axes, grey: NDArray[np.float64], effect: NDArray[np.float64], limit: float) -> None:
    """The effect in colour over the grey picture, the stronger the less transparent."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    scale = ScalarMappable(Normalize(-limit, limit), "RdBu")
    axes.imshow(scale.to_rgba(effect, alpha=np.clip(np.abs(effect) / limit, 0, 1) ** 0.7 * 0.8))
    bar = axes.figure.colorbar(scale, ax=axes, shrink=0.9)
    bar.set_label("red: looks like an attack     blue: looks like a living person", fontsize=8)
    bar.ax.set_title("log-odds lost\nwhen hidden", fontsize=8)


def _look(axes: Axes, found: MeanMap) -> None:
    from matplotlib.patches import Rectangle

    share = found.strength * found.strength.size  # 1 where the effect is what it would be if spread evenly
    drawn = axes.imshow(share, cmap="viridis", vmin=0, vmax=max(2.0, float(share.max())))
    edge = FRAME * len(share)
    inner = len(share) - 2 * edge
    axes.add_patch(Rectangle((edge - 0.5, edge - 0.5), inner, inner, fill=False, ec="white", ls="--", lw=1.2))
    axes.set_xlabel(
        f"outer frame: {100 * found.frame_share:.0f} % of the effect, {100 * FRAME_AREA:.0f} % of the area"
    )
    axes.figure.colorbar(drawn, ax=axes, shrink=0.9).set_label(
        "effect (1: as if it looked everywhere alike)", fontsize=8
    )


def _bare(panels: Iterable[Axes]) -> None:
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)


def _spots(size: int, steps: int, patch: float) -> NDArray[np.float64]:
    """Along one axis, how much each pixel is hidden by the spot at each step, (steps, size), at most 1."""
    centres = (np.arange(steps) + 0.5) * size / steps
    distance = (np.arange(size) + 0.5)[None, :] - centres[:, None]
    return np.exp(-0.5 * (distance / (patch * size)) ** 2)


def _log_odds(model: HasLogits, crops: NDArray[np.uint8], word: str | None) -> NDArray[np.float64]:
    logits = model.logits(crops, word).astype(np.float64)
    return logits[:, 1] - logits[:, 0]
