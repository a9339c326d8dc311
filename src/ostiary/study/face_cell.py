"""One cell of a face study: train, embed the pairs' pictures, compare. Its record is plain JSON."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.data.identities import IdentityIndex
from ostiary.data.pairs import Pairs
from ostiary.data.pictures import PictureStore
from ostiary.errors import InputError
from ostiary.faces.preprocess import Preprocess
from ostiary.metrics.rates import Rate
from ostiary.metrics.verification import VerificationRates, verification_rates
from ostiary.reports.comparisons import compare_pairs, write_comparisons
from ostiary.reports.embedded import embed_pictures
from ostiary.reports.embedders import EmbedsFaces, choose_embedder
from ostiary.reports.provenance import commit
from ostiary.study.arms import Cell
from ostiary.study.face_plan import FaceStudy
from ostiary.study.runner import Progress
from ostiary.training.embedding.run import FaceRunSettings, TrainedFaceNetwork, load_face_network, train_face

FORMAT = "1"


@dataclass(frozen=True, slots=True)
class FaceMaterials:
    """What all cells of a face study share; the pairs' pictures are aligned crops."""

    index: IdentityIndex
    pictures: PictureStore
    pairs: Pairs
    runs: Path
    teachers: Path | None = None
    peers: Path | None = None
    workers: int = 0
    accelerator: str = "auto"
    precision: str = "32-true"


@dataclass(frozen=True, slots=True)
class FaceWork:
    """A face study with its materials, as ``runner.py`` runs it."""

    study: FaceStudy
    materials: FaceMaterials
    keep_scores: bool = False

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def runs(self) -> Path:
        """Folder of checkpoints and comparisons."""
        return self.materials.runs

    def cells(self) -> Iterator[Cell]:
        """Every cell of the plan, in its order."""
        return self.study.cells()

    def fingerprint(self, cell: Cell) -> str:
        """SHA-256 over recipe, seed, the people learnt from and the pairs."""
        recipe = self.study.recipe(cell.arm)
        decided = {
            "recipe": recipe and recipe.model_dump(mode="json", exclude_defaults=True, exclude={"summary"}),
            "peers": self.study.arms[cell.arm].peers,
            "seed": cell.seed,
            "learnt": _hash(self.materials.index.select(split="train")) if recipe else None,
            "pairs": _hash(self.materials.pairs),
        }
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    def run(self, cell: Cell, scores: Path, progress: Progress) -> dict[str, Any]:
        """Train (or go on training) and judge one cell; its comparisons are written to the file ``scores``.

        Raises:
            InputError: peers are asked for, but not their folder; or what training raises.

        """
        materials = self.materials
        started = time.perf_counter()
        training: dict[str, Any] = {}
        peers = self.study.arms[cell.arm].peers
        with progress() as report:
            if peers:
                if materials.peers is None:
                    raise InputError(
                        f"The arm {cell.arm!r} asks deployed networks: name their folder with --peers."
                    )
                embedder: EmbedsFaces = choose_embedder(None, peers, materials.peers)
            else:
                model = self._trained(cell, partial(report, "reading the pictures"))
                embedder = TorchEmbedder(model)
                training = {name: model.record[name] for name in ("recipe", "commit", "pictures", "people")}
                training["development"] = model.record["history"][-1]
            pairs = materials.pairs
            embedded = embed_pictures(
                pairs.paths,
                materials.pictures,
                embedder,
                aligned=True,
                flip=True,
                progress=partial(report, "embedding the pairs"),
            )
        compared = {flip: compare_pairs(pairs, embedded, flip=flip) for flip in (False, True)}
        write_comparisons(compared[False], scores)
        rates = {flip: verification_rates(found.comparisons()) for flip, found in compared.items()}
        return {
            "format": FORMAT,
            "study": self.name,
            "arm": cell.arm,
            "seed": cell.seed,
            "fingerprint": self.fingerprint(cell),
            "commit": commit(),
            "seconds": round(time.perf_counter() - started),
            "training": training,
            "pairs_skipped": compared[False].skipped,
            "plain": _figures(rates[False]),
            "flip": _figures(rates[True]),
        }

    def _trained(self, cell: Cell, progress: Callable[[int, int], None]) -> TrainedFaceNetwork:
        recipe = self.study.recipe(cell.arm)
        assert recipe is not None, "peers were dealt with"
        materials = self.materials
        folder = materials.runs / self.name / cell.name
        settings = FaceRunSettings(
            out=folder,
            cache=materials.runs / "cache",
            teachers=materials.teachers,
            peers=materials.peers,
            seed=cell.seed,
            workers=materials.workers,
            accelerator=materials.accelerator,
            precision=materials.precision,
        )
        path = folder / "model.safetensors"
        if not path.exists():
            path = train_face(recipe, materials.index, materials.pictures, settings, progress)
        return load_face_network(path)


class TorchEmbedder:
    """A trained network before any export, as evaluation asks for it."""

    def __init__(self, model: TrainedFaceNetwork) -> None:
        self._network = model.network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._recipe = model.recipe

    @property
    def name(self) -> str:
        """The network's name."""
        return self._recipe.network_name

    @property
    def preprocess(self) -> Preprocess:
        """How crops are cut for it."""
        return self._recipe.preprocess

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """RGB crops (N, S, S, 3) -> embeddings (N, D) of unit length; ``flip``: means with the mirrored."""
        embeddings = self._run(crops)
        if flip:
            embeddings = embeddings + self._run(crops[:, :, ::-1])
        return np.asarray(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), np.float32)

    def _run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            inputs = torch.from_numpy(self.preprocess.normalise(crops))
            found: NDArray[np.float32] = self._network(inputs.to(memory_format=torch.channels_last)).numpy()
        return found


def _figures(rates: VerificationRates) -> dict[str, Any]:
    """Each rate as [value, low, high] of its 95 % interval, and the standard error over the folds."""
    found: dict[str, Rate | None] = {
        "accuracy": rates.accuracy,
        "auc": rates.auc,
        "eer": rates.eer,
        **{f"fnmr_at_fmr:{name}": reading.fnmr for name, reading in rates.fnmr_at_fmr.items()},
    }
    return {
        "n_mated": rates.n_mated,
        "n_non_mated": rates.n_non_mated,
        "people": rates.people,
        "accuracy_standard_error": rates.folds and round(rates.folds.standard_error, 5),
        **{
            name: [round(x, 5) for x in (rate.value, rate.interval.low, rate.interval.high)]
            for name, rate in found.items()
            if rate is not None
        },
    }


def _hash(rows: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row}\n".encode())
    return digest.hexdigest()
