"""The evaluation of a face embedding that the command line offers: from a list of pairs to a folder of results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import ostiary
from ostiary.data.pairs import Pairs, read_pairs
from ostiary.data.pictures import PictureStore
from ostiary.data.verification_bin import open_bin
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.intervals import supports
from ostiary.metrics.verification import FMR_TARGETS, check_support
from ostiary.reports.comparisons import ComparedPairs, compare_pairs, write_comparisons
from ostiary.reports.embedded import EmbeddedPictures, embed_pictures
from ostiary.reports.embedders import EmbedsFaces, describe
from ostiary.reports.folder import replacing
from ostiary.reports.picture_names import pictures_of_list
from ostiary.reports.provenance import commit
from ostiary.reports.verification_page import render
from ostiary.reports.verification_plot import NAME, draw_det
from ostiary.reports.verification_report import Report, build_verification_report
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.embedding_record import MatchThreshold

Progress = Callable[[str, int, int], None]
"""Called with (what is done, steps done, steps in all)."""

SCORES = "comparisons.csv"
SCORES_WITHOUT_FLIP = "comparisons_without_flip.csv"


def evaluate_face(
    embedder: EmbedsFaces,
    pairs: Path,
    images: Sequence[Path],
    out: Path,
    *,
    aligned: bool = False,
    flip: bool = False,
    rates: Sequence[float] = (),
    seed: int = 0,
    draws: int = DRAWS,
    command: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare the pairs of a list, and write scores, report and plot into ``out``.

    Args:
        embedder: what is measured.
        pairs: a CSV of pairs, a list of LFW, or a ``.bin`` of InsightFace, which carries its own aligned pictures.
        images: folders or tars with the pictures of the list; none for a ``.bin``.
        out: folder for comparisons.csv, report.md, report.json and det.png; replaced file by file at the end.
        aligned: the pictures are crops of the embedder's size already.
        flip: judge means with the mirror images, and report the plain embeddings beside them.
        rates: further FMRs at which FNMR is read; unlike those that are always read, they must be supported.
        seed: of the bootstrap.
        draws: of the bootstrap.
        command: what the user typed, stored in the report.
        progress: told of every step.

    Raises:
        DataIndexError: the list or the pictures cannot be read, or no pair at all can be compared.
        RateError: the list has too few non-mated pairs for one of ``rates``.
        ConfigurationError: pictures beside a ``.bin`` or none beside a list, or ``out`` cannot be written.

    """
    listed, pictures, are_crops = open_pairs(pairs, images, aligned)
    for rate in rates:  # before hours of embedding; pairs that drop out are counted again below
        supports(rate, sum(not pair.same for pair in listed), "non-mated pairs in the list")
    step = None if progress is None else lambda done, total: progress(f"embedding {pairs.stem}", done, total)
    embedded = embed_pictures(listed.paths, pictures, embedder, aligned=are_crops, flip=flip, progress=step)
    plain = compare_pairs(listed, embedded)
    mirrored = compare_pairs(listed, embedded, flip=True) if flip else None
    check_compared(plain, pairs, embedded, rates)
    header = {
        "command": command,
        "ostiary": ostiary.__version__,
        "commit": commit(),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "model": describe(embedder),
        "data": pairs.stem,
        "pairs_sha256": hashlib.sha256(pairs.read_bytes()).hexdigest(),
        "aligned": are_crops,
    }
    if progress:
        progress("measuring", 0, 1)
    stored = embedder.metadata.threshold if isinstance(embedder, EmbeddingModel) else None
    with replacing(out, stale=(NAME, "comparisons*.csv")) as folder:
        report = build_verification_report(
            plain,
            mirrored,
            header,
            reasons=embedded.reasons,
            pictures=len(listed.paths),
            stored=stored.value if stored is not None and stored.flip == flip else None,
            targets=sorted({*FMR_TARGETS, *rates}, reverse=True),
            draws=draws,
            seed=seed,
        )
        report["notes"] += _remarks(stored, flip)
        _write(folder, plain, mirrored, report)
    if progress:
        progress("measuring", 1, 1)
    return report


def open_pairs(pairs: Path, images: Sequence[Path], aligned: bool) -> tuple[Pairs, PictureStore, bool]:
    """The pairs, their pictures, and whether these are crops."""
    if pairs.suffix == ".bin":
        if images:
            raise ConfigurationError(f"{pairs} carries its own pictures; leave --images out.")
        return *open_bin(pairs), True
    if not images:
        raise ConfigurationError(f"{pairs} only names pictures; say in which folder or tar they are (--images).")
    listed = read_pairs(pairs)
    return listed, pictures_of_list(listed.paths, images), aligned


def check_compared(
    compared: ComparedPairs, pairs: Path, embedded: EmbeddedPictures, rates: Sequence[float]
) -> None:
    """Raise DataIndexError if no pair could be compared, RateError if too few for one of ``rates``."""
    if not compared.used.any():
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in compared.skipped.items())
        path, reason = next(iter(embedded.reasons.items()))
        raise DataIndexError(
            f"{pairs}: none of its {len(compared.pairs):,} pairs can be compared ({reasons}); the first picture, "
            f"{path!r}, is {reason}: check --images, and whether --aligned is right."
        )
    for rate in rates:
        check_support(compared.comparisons(), rate)


def _remarks(stored: MatchThreshold | None, flip: bool) -> list[str]:
    if stored is None or stored.flip == flip:
        return []
    view = "means with the mirror images" if stored.flip else "plain embeddings"
    return [f"The threshold in the weights is for {view}, so that it is not applied here."]


def _write(folder: Path, plain: ComparedPairs, mirrored: ComparedPairs | None, report: Report) -> None:
    views = {"plain": plain.comparisons()}
    write_comparisons(plain if mirrored is None else mirrored, folder / SCORES)
    if mirrored is not None:
        write_comparisons(plain, folder / SCORES_WITHOUT_FLIP)
        views["flip"] = mirrored.comparisons()
    plots = draw_det(views, report, folder)
    (folder / "report.md").write_text(render(report, plots), encoding="utf-8")
    text = json.dumps(report, indent=1, allow_nan=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
