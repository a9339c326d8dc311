"""A page to look at: for each data set both errors as curves, the worst errors as pictures, and where the
network looks. Plain HTML without scripts or outside resources, written to one folder and nowhere else: it shows
people's faces, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Index, Label, Sample
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box, FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.rates import Rate
from ostiary.reports.contact_sheet import CELL, KINDS, LIMIT, Kind, contact_sheet, worst_errors
from ostiary.reports.explanation import draw_mean_maps, mean_map
from ostiary.reports.folder import replacing
from ostiary.reports.plots import draw_dets, file_names
from ostiary.reports.robustness import evenly
from ostiary.reports.scores import Scores, ScoreTable, read_scores
from ostiary.reports.scoring import find_face, score
from ostiary.reports.web_page import Figure, Section, render_page
from ostiary.runtime.liveness import LivenessModel

UNNAMED = "unnamed data"
MAPS = 20
"""Pictures of a class and data set behind a mean map."""

Progress = Callable[[str, int, int], None]


def write_pages(
    indexes: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    *,
    scores: Sequence[Path] = (),
    configuration: str | None = None,
    weights: Path | str | None = None,
    split: str | None = None,
    limit: int = LIMIT,
    maps: int = MAPS,
    progress: Progress | None = None,
) -> Path:
    """Draw everything into ``out`` and return the page, ``out/index.html``.

    Args:
        indexes: CSV files of the data.
        images: folders or tars: one for each index in the same order, or all for every index.
        out: folder for the page and its pictures; replaced file by file at the end.
        scores: score files of these data by these weights; without any, all configurations are scored now.
        configuration: whose errors and maps are shown; the weights' default if None.
        weights: a weights file or a packaged name.
        split: show these rows only.
        limit: crops on a contact sheet.
        maps: pictures of each class and data set behind a mean map; 0 leaves the maps out.
        progress: told of every step.

    Raises:
        ConfigurationError: no such word, a word without a threshold, or ``out`` cannot be written.
        DataIndexError: scores of a picture that no index has, or no rows at all.
        ScoreFileError: a score file breaks its contract.

    """
    model = LivenessModel(weights)
    word = model.metadata.default_configuration if configuration is None else configuration
    threshold = model.threshold(word).value
    own = len(images) == len(indexes)
    stores = [open_pictures(source) for source in images] if own else [open_pictures(images)] * len(indexes)
    sources = [
        (Index.read_csv(path).select(split=split), store) for path, store in zip(indexes, stores, strict=True)
    ]
    if scores:
        table = _of_split(ScoreTable.concatenate(map(read_scores, scores)), split)
    else:
        step = _step(progress, "scoring")
        table = ScoreTable.concatenate(score(*source, model, model.words, progress=step) for source in sources)
    if word not in table.configurations:
        known = ", ".join(table.configurations)
        raise ConfigurationError(
            f"The scores have no configuration {word!r}; they have {known or 'no rows at all'}."
        )
    judged = table.configurations[word]
    crops = CropSource(sources, model.metadata.preprocess)
    stored = {name: record.threshold for name, record in model.metadata.configurations.items()}
    thresholds = {name: found.value for name, found in stored.items() if found is not None}
    sections = []
    with replacing(out, stale=("det_*.png", "false_*.png", "map_*.png")) as folder:
        dets = draw_dets(table, thresholds, folder)
        step = _step(progress, "drawing")
        for place, (dataset, file) in enumerate(file_names(table.datasets).items(), start=1):
            figures = [Figure(dets[dataset], "Both errors", _DET)] if dataset in dets else []
            for kind in KINDS:
                path = folder / f"{kind}_{file}.png"
                figures.append(_sheet(judged, threshold, word, dataset, kind, limit, crops, path))
            if maps:
                figures += _maps(model, judged, word, dataset, maps, crops, folder / f"map_{file}.png")
            sections.append(Section(dataset or UNNAMED, _summary(judged, threshold, dataset), figures))
            if step:
                step(place, len(table.datasets))
        title = f"{model.metadata.name} {model.metadata.version}, configuration {word}"
        (folder / "index.html").write_text(render_page(title, sections), encoding="utf-8")
    return out / "index.html"


class CropSource:
    """Crops of scored samples, at the boxes of the indexes that were scored."""

    def __init__(self, sources: Sequence[tuple[Index, PictureStore]], preprocess: Preprocess) -> None:
        self._found = {(s.dataset, s.path): (s, store) for index, store in reversed(sources) for s in index}
        self._preprocess = preprocess
        self._detector = FaceDetector()

    def crop(self, sample: Sample, size: int | None = None) -> NDArray[np.uint8]:
        """What the network sees of a sample, RGB; ``size`` pixels a side, or as many as the network takes.

        Where the index has no box and no face is found, the whole picture stands for the face.

        Raises:
            DataIndexError: no index has the picture.

        """
        try:
            indexed, store = self._found[sample.dataset, sample.path]
        except KeyError:
            raise DataIndexError(
                f"{sample.path!r} of data set {sample.dataset!r} is in the scores, but in none of the indexes; "
                "give the indexes that were scored."
            ) from None
        image = store.image(sample.path)
        face = None if indexed.box else find_face(image, None, self._detector)
        box = indexed.box or (face.box if face else Box(0, 0, image.shape[1], image.shape[0]))
        preprocess = self._preprocess if size is None else self._preprocess.model_copy(update={"size": size})
        return loose_crop(image, box, preprocess)


_DET = (
    "Each line is one configuration of the network. Moving along a line means turning its threshold: fewer "
    "attacks get in, but more people are refused. The further to the lower left, the better. A dot shows where "
    "the stored threshold puts the door (dots on one spot are seen as rings); on the dotted line both errors are "
    "equal."
)
_SHEETS: Mapping[Kind, tuple[str, str, str]] = {
    "false_accepts": (
        "Attacks that got in",
        "The attacks that the door would have opened for, the most convincing first.",
        "No attack got in.",
    ),
    "false_rejects": (
        "People who were refused",
        "The people whom the door would have left outside, the least convincing first.",
        "Nobody was refused.",
    ),
}
_MAPS = (
    "One part of the face after the other was hidden by a blur, to see how the answer changes. Blue: the network "
    "took this part for a living person. Red: for an attack. The right column shows where it looks at all; a "
    "network that looks mainly at the dashed outer frame has learned rooms and edges more than faces."
)


def _summary(scores: Scores, threshold: float, dataset: str) -> str:
    rates = pad_rates(scores.trials(dataset), threshold, targets=())
    people = "" if rates.people is None else f" of {rates.people:,} people"
    sentences = [f"{rates.n_bona_fide:,} bona fide pictures and {rates.n_attack:,} attacks{people}."]
    if rates.apcer_max and rates.apcer_pooled:
        sentences.append(f"{_count(rates.apcer_pooled)} attacks got in; of the worst kind, {rates.worst_species},")
        sentences.append(f"{_count(rates.apcer_max)} ({_share(rates.apcer_max)}).")
    if rates.bpcer:
        sentences.append(f"{_count(rates.bpcer)} pictures of living people were refused ({_share(rates.bpcer)}).")
    silent = int(
        sum(bool(r) and s.dataset == dataset for s, r in zip(scores.samples, scores.reasons, strict=True))
    )
    if silent:
        sentences.append(
            f"{silent:,} more got no answer (no face found, or unreadable): a door does not accept them."
        )
    return " ".join(sentences)


def _count(rate: Rate) -> str:
    return f"{rate.errors:,} of {rate.trials:,}"


def _share(rate: Rate) -> str:
    low, high = rate.interval.low, rate.interval.high
    return f"{100 * rate.value:.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f} %"


def _sheet(
    scores: Scores,
    threshold: float,
    word: str,
    dataset: str,
    kind: Kind,
    limit: int,
    crops: CropSource,
    path: Path,
) -> Figure:
    heading, caption, none = _SHEETS[kind]
    errors = worst_errors(scores, threshold, dataset, kind)
    if not errors:
        return Figure(None, heading, none)
    title = f"{heading}: {dataset or UNNAMED}, {word}, threshold {threshold:.4f}"
    contact_sheet(errors[:limit], lambda sample: crops.crop(sample, CELL), threshold, title).save(path)
    shown = f"Shown are {min(limit, len(errors))} of {len(errors)} recordings, one picture of each."
    return Figure(path.name, heading, f"{caption} {shown}")


def _maps(
    model: LivenessModel, scores: Scores, word: str, dataset: str, maps: int, crops: CropSource, path: Path
) -> list[Figure]:
    kinds: dict[str, Label] = {"bona fide": "bona_fide", "attacks": "attack"}
    found = {}
    for kind, label in kinds.items():
        answered = (s for s, reason in zip(scores.samples, scores.reasons, strict=True) if not reason)
        chosen = evenly(Index(s for s in answered if s.dataset == dataset and s.label == label), maps)
        mean = mean_map(model, (crops.crop(sample) for sample in chosen), word)
        if mean is not None:
            found[kind] = mean
    if not found:
        return []
    draw_mean_maps(found, path, f"Where {word} looks: {dataset or UNNAMED}")
    looks = " ".join(f"{kind.capitalize()}: {mean.describe()}" for kind, mean in found.items())
    return [Figure(path.name, "Where the network looks", f"{_MAPS} {looks}")]


def _of_split(table: ScoreTable, split: str | None) -> ScoreTable:
    if split is None:
        return table
    kept = {}
    for word, scores in table.configurations.items():
        rows = [place for place, sample in enumerate(scores.samples) if sample.split == split]
        if rows:
            kept[word] = Scores(
                tuple(scores.samples[row] for row in rows),
                scores.liveness[rows],
                tuple(scores.reasons[row] for row in rows),
            )
    return ScoreTable(kept)


def _step(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)
