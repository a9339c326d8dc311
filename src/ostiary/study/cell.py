"""One cell of a study: train, ask, measure. Its record is plain JSON and all that a table needs."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore
from ostiary.errors import InputError
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.rates import Rate
from ostiary.metrics.trials import Trials
from ostiary.reports.provenance import commit
from ostiary.reports.scores import Scores, write_scores
from ostiary.study.arms import Cell
from ostiary.study.judging import Answers, ask_network, ask_peers
from ostiary.study.plan import Study
from ostiary.study.protocols import Rows, rows_of
from ostiary.study.runner import Progress
from ostiary.training.averaging import average_models
from ostiary.training.model import load_model
from ostiary.training.recipe import Recipe
from ostiary.training.run import RunSettings, index_hash, train_liveness

FORMAT = "1"
NAIVE = 0.5
"""The threshold of papers that take the larger of the two outputs."""


@dataclass(frozen=True, slots=True)
class Materials:
    """What all cells of a study share."""

    index: Index
    pictures: PictureStore
    runs: Path
    trunk: Path | None = None
    start: Path | str | None = None
    soft_targets: Path | None = None
    peers: Path | None = None
    workers: int = 0
    accelerator: str = "auto"
    precision: str = "32-true"


@dataclass(frozen=True, slots=True)
class LivenessWork:
    """A liveness study with its materials, as ``runner.py`` runs it."""

    study: Study
    materials: Materials

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def runs(self) -> Path:
        """Folder of checkpoints and scores."""
        return self.materials.runs

    @property
    def keep_scores(self) -> bool:
        """Whether score files go to the results."""
        return self.study.keep_scores

    def cells(self) -> Iterator[Cell]:
        """Every cell of the plan, in its order."""
        return self.study.cells()

    def fingerprint(self, cell: Cell) -> str:
        """SHA-256 over recipe, seed, rows and words.

        Fields at their defaults do not count, so that a recipe that learns a new field keeps its results.
        """
        recipe = self.study.recipe(cell.arm)
        rows = rows_of(self.study, cell, self.materials.index)
        averaged = [self.study.recipe(arm) for arm in self.study.arms[cell.arm].average]
        decided = {
            "recipe": [_decisive(one) for one in averaged] or _decisive(recipe),
            "peers": self.study.arms[cell.arm].peers,
            "seed": cell.seed,
            "words": self.study.words if recipe else (),
            "learnt": index_hash(rows.learnt),
            "judged": index_hash(rows.judged),
        }
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    def run(self, cell: Cell, scores: Path, progress: Progress) -> dict[str, Any]:
        """Train (or go on training) and judge one cell; its scores are written to the file ``scores``.

        Raises:
            InputError: peers are asked for, but not their folder; or what training raises.

        """
        study, materials = self.study, self.materials
        arm = study.arms[cell.arm]
        rows = rows_of(study, cell, materials.index)
        started = time.perf_counter()
        training: dict[str, Any] = {}
        if arm.peers:
            if materials.peers is None:
                raise InputError(f"The arm {cell.arm!r} asks deployed networks: name their folder with --peers.")
            answers = ask_peers(
                arm.peers, materials.peers, rows.learnt, rows.judged, materials.pictures, label=cell.arm
            )
        else:
            answers, training = _train_and_ask(study, cell, rows, materials, progress)
        write_scores(answers.judged, scores)
        return {
            "format": FORMAT,
            "study": study.name,
            "arm": cell.arm,
            "held_out": list(cell.held_out),
            "seed": cell.seed,
            "fingerprint": self.fingerprint(cell),
            "commit": commit(),
            "judged_on": list(study.judged_on),
            "seconds": round(time.perf_counter() - started),
            "training": training,
            "configurations": _measured(answers),
        }


def _decisive(recipe: Recipe | None) -> dict[str, Any] | None:
    return None if recipe is None else recipe.model_dump(mode="json", exclude_defaults=True, exclude={"summary"})


def _train_and_ask(
    study: Study, cell: Cell, rows: Rows, materials: Materials, progress: Progress
) -> tuple[Answers, dict[str, Any]]:
    recipe = study.recipe(cell.arm)
    assert recipe is not None, "peers were dealt with"
    folder = materials.runs / study.name / cell.name
    settings = RunSettings(
        out=folder,
        cache=materials.runs / "cache",
        trunk=materials.trunk,
        start=materials.start,
        soft_targets=materials.soft_targets,
        peers=materials.peers,
        seed=cell.seed,
        workers=materials.workers,
        accelerator=materials.accelerator,
        precision=materials.precision,
    )
    path = folder / "model.safetensors"
    averaged = [
        materials.runs / study.name / replace(cell, arm=arm).name / "model.safetensors"
        for arm in study.arms[cell.arm].average
    ]
    if averaged:
        missing = [one for one in averaged if not one.exists()]
        if missing:
            raise InputError(
                f"The arm {cell.arm!r} averages {missing[0]}, which is not there: run that arm first."
            )
        average_models(averaged, path)
    elif not path.exists():
        path = train_liveness(recipe, rows.learnt, materials.pictures, settings, progress)
    model = load_model(path)
    answers = ask_network(model, rows.learnt, rows.judged, materials.pictures, settings.cache, study.words)
    last = model.record["history"][-1]
    return answers, {
        "recipe": _decisive(recipe),
        "commit": model.record["commit"],
        "learnt_from": list(rows.learnt.datasets),
        "steps": last["steps"],
        "development": {name: value for name, value in last.items() if name.startswith("development_")},
    }


def _measured(answers: Answers) -> dict[str, Any]:
    measured = {}
    for word, scores in answers.judged.configurations.items():
        threshold = answers.thresholds[word]
        datasets = sorted({sample.dataset for sample in scores.samples})
        measured[word] = {
            "threshold": threshold.model_dump(),
            "datasets": {name: _rates(scores.trials(name), threshold.value) for name in datasets},
            "all": _rates(scores.trials(), threshold.value),
            "no_answer": _silent(scores),
        }
    return measured


def _rates(trials: Trials, threshold: float) -> dict[str, Any]:
    """Each rate as [value, low, high] of its 95 % interval over people, under the names of metrics/comparison.py;
    ``naive:`` stands before those at the threshold ``NAIVE``.
    """
    found = pad_rates(trials, threshold)
    naive = pad_rates(trials, NAIVE)
    rates: dict[str, Rate | None] = {
        "auc": found.auc,
        "eer": found.eer,
        "acer_pooled": found.acer_pooled,
        "apcer_max": found.apcer_max,
        "apcer_pooled": found.apcer_pooled,
        "bpcer": found.bpcer,
        **{f"bpcer_at_apcer:{target:g}": reading.bpcer for target, reading in found.bpcer_at_apcer.items()},
        **{f"apcer:{name}": rate for name, rate in found.apcer.items()},
        "naive:apcer_pooled": naive.apcer_pooled,
        "naive:bpcer": naive.bpcer,
        "naive:acer_pooled": naive.acer_pooled,
    }
    return {
        "n_bona_fide": found.n_bona_fide,
        "n_attack": found.n_attack,
        "people": found.people,
        **{
            name: [round(x, 5) for x in (rate.value, rate.interval.low, rate.interval.high)]
            for name, rate in rates.items()
            if rate is not None
        },
    }


def _silent(scores: Scores) -> int:
    return sum(bool(reason) for reason in scores.reasons)
