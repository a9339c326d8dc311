"""From a score file and a stated error rate to a threshold, or to a sentence that says what is lacking for one.

Thresholds are chosen on development people, never on those whom they are judged on afterwards: rows of the test
split are left out, and where a file has no others they must be asked for by name.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ostiary.errors import ConfigurationError, ScoreFileError, WeightsError
from ostiary.gate.calibration import Calibration, ModelHashes, model_hashes
from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.calibrating import Count
from ostiary.reports.comparisons import read_comparisons
from ostiary.reports.operating import Target, liveness_operating, matching_operating
from ostiary.reports.scores import DEFAULT_CONFIGURATION, Scores, ScoreTable, read_scores
from ostiary.runtime.container import WeightsRecord, read_metadata
from ostiary.runtime.foreign import open_embedding, open_liveness
from ostiary.runtime.foreign_record import SUFFIX
from ostiary.runtime.packaged import EMBEDDING, resolve_weights

_MATCHING_TASKS = ("embedding", "verifier")


def calibrate(
    scores: Path,
    target: Target,
    out: Path,
    model: CalibratedModel,
    *,
    data: str | None = None,
    configurations: Sequence[str] = (),
    split: str | None = None,
    count: Count = "trials",
    flip: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> Calibration:
    """Choose the thresholds that hold ``target``, and write them into the calibration file ``out``.

    A file that is there keeps its other thresholds.

    Args:
        scores: a score file for APCER and BPCER, a comparison file for FMR and FNMR.
        target: the rate that is wanted.
        out: the calibration, a JSON file.
        model: of the model that made the scores.
        data: name of the data; the names in the file, or the file's, if left out.
        configurations: words of a score file; all, if none is named.
        split: rows of a score file to use; by default those of development, or those without a split.
        count: what is an independent trial. People are the careful choice; comparisons know only trials.
        flip: the similarities are of embeddings with the mirrored face.
        draws: bootstrap draws.
        seed: of the bootstrap.

    Returns:
        What was chosen, without what ``out`` held before.

    Raises:
        RateError: the trials cannot bear the rate, or no threshold holds it.
        ScoreFileError, DataIndexError: the file breaks its contract.
        ConfigurationError: the file holds something else than the target needs, has no such configuration or
            split, was made by other weights or a configuration that these lack; or ``out`` is for another model
            or cannot be written.

    """
    before = Calibration.load(out) if out.exists() else None
    _check_kind(scores, target)
    _check_model(scores, model.hashes)
    if target.measured == "liveness":
        table = development(read_scores(scores), split, scores)
        name = data or "+".join(filter(None, table.datasets)) or scores.name
        chosen = {
            _word(word, model, scores): liveness_operating(
                found.trials(), target, name, count=count, draws=draws, seed=seed
            )
            for word, found in _named(table, configurations, scores).items()
        }
        made = Calibration.of_liveness(chosen, model.hashes)
    else:
        if count == "people":
            raise ConfigurationError(
                "Comparisons cannot be counted by people, of whom two stand in each; the warning of the threshold "
                "names their number, and its interval is over people."
            )
        compared = read_comparisons(scores).comparisons()
        operating = matching_operating(compared, target, data or scores.name, draws=draws, seed=seed)
        made = Calibration.of_matching(operating, model.hashes, flip=flip)
    (before.merged(made) if before else made).save(out)
    return made


class CalibratedModel(NamedTuple):
    """What a threshold is bound to, and the configuration words of a liveness model; None for an embedding's."""

    hashes: ModelHashes
    words: tuple[str, ...] | None = None


def open_model(weights: Path | str | None, measured: Literal["liveness", "similarity"]) -> CalibratedModel:
    """The model of a weights file, a packaged name, a record of a network of others, or the task's default.

    Raises:
        WeightsError: there is no such file, or it is for another task.

    """
    if measured == "liveness":
        model = open_liveness(weights)
        return CalibratedModel(model_hashes(model.path, model.metadata.preprocess), tuple(model.words))
    path = resolve_weights(weights, EMBEDDING)
    if path.suffix.lower() == SUFFIX:
        return CalibratedModel(model_hashes(path, open_embedding(path).preprocess))
    record = read_metadata(path, WeightsRecord)
    if record.task not in _MATCHING_TASKS:
        raise WeightsError(
            f"{path} was made for the task {record.task!r}, and compares no faces: give other weights."
        )
    return CalibratedModel(model_hashes(path, record.preprocess))


def development(table: ScoreTable, split: str | None, path: Path) -> ScoreTable:
    """The rows that a threshold may be chosen on.

    Raises:
        ConfigurationError: there are none.

    """
    present = {sample.split for scores in table.configurations.values() for sample in scores.samples}
    wanted = split if split is not None else "development" if "development" in present else ""
    if wanted not in present:
        found = ", ".join(sorted(name or "no split" for name in present))
        raise ConfigurationError(
            f"{path} has no rows of the development split, but of {found}; thresholds are not chosen on people "
            "whom they are judged on: score the development split, or name one that is not judged with --split."
        )
    return ScoreTable({word: _rows(scores, wanted) for word, scores in table.configurations.items()})


def _check_model(scores: Path, model: ModelHashes) -> None:
    """The report beside the scores, if there is one, says by which weights they were made."""
    try:
        said = json.loads((scores.parent / "report.json").read_text(encoding="utf-8"))["header"]["model"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if said != model.model:
        raise ConfigurationError(
            f"{scores} was made by the weights {str(said)[:12]}, as the report.json beside it says, and not by "
            f"{model.model[:12]}; name the weights that made it with --weights."
        )


def _rows(scores: Scores, split: str) -> Scores:
    kept = [place for place, sample in enumerate(scores.samples) if sample.split == split]
    return Scores(
        tuple(scores.samples[place] for place in kept),
        scores.liveness[np.array(kept, np.intp)],
        tuple(scores.reasons[place] for place in kept),
    )


def _named(table: ScoreTable, words: Sequence[str], path: Path) -> dict[str, Scores]:
    missing = [word for word in words if word not in table.configurations]
    if missing:
        known = ", ".join(table.configurations)
        raise ConfigurationError(f"{path} has no scores of configuration {missing[0]!r}; it has {known}.")
    return {word: found for word, found in table.configurations.items() if not words or word in words}


def _word(name: str, model: CalibratedModel, path: Path) -> str:
    """The model's word for a configuration of a score file, which may leave out the only one there is."""
    words = model.words
    if words is None or name in words:
        return name
    if name == DEFAULT_CONFIGURATION and len(words) == 1:
        return words[0]
    raise ConfigurationError(
        f"{path} has scores of configuration {name!r}, which the model does not have ({', '.join(words)}); name "
        "the weights that made them with --weights, or the configuration in the file."
    )


def _check_kind(path: Path, target: Target) -> None:
    """The file's columns say what was measured."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            columns = [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScoreFileError(f"{path}: cannot be read as a CSV in UTF-8 ({reason}); check the file.") from None
    if target.measured not in columns:
        raise ConfigurationError(
            f"{path} has no column {target.measured}, which the target {target} is about; apcer and bpcer "
            "need scores.csv of `evaluate liveness`, fmr and fnmr comparisons.csv of `evaluate face`."
        )
