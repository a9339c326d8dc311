"""From a trained face network to a weights file fit for a door: what ``ostiary export face`` does.

The threshold is chosen on the people that the training held out, with the very file that is shipped: its form and
its precision. 8-bit ranges are calibrated on people that were learnt from.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.adaptive import apply_statistics, blocks, recalibrate, specialise
from ostiary.data.identities import IdentityIndex
from ostiary.data.listing import list_pictures
from ostiary.data.pictures import PictureStore
from ostiary.errors import ConfigurationError, ImageError
from ostiary.export.card import EmbeddingCard
from ostiary.export.face import export_face
from ostiary.export.release import Progress, Released, Terms
from ostiary.export.rewrite import Target
from ostiary.metrics.verification_threshold import choose_match_threshold
from ostiary.metrics.verification_trials import Comparisons
from ostiary.networks.face_network import FaceNetwork
from ostiary.runtime.embedding import EmbeddingModel, similarity
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.run import TrainedFaceNetwork, apart, training_portraits

CALIBRATION = 256
"""Pictures that 8-bit ranges are calibrated on."""
MEASURED = 1024
"""Pictures that the statistics of a word are measured on."""
NON_MATED = 50_000
"""Comparisons of two people that a threshold is chosen on, of all that the people held out would give."""


def release_face(
    model: TrainedFaceNetwork,
    out: Path,
    terms: Terms,
    *,
    target: Target = "cpu-fp32",
    people: tuple[IdentityIndex, PictureStore] | None = None,
    cache: Path | None = None,
    calibration: NDArray[np.uint8] | None = None,
    word: str = "",
    fmr: float = 1e-3,
    flip: bool = False,
    plain: bool = False,
    progress: Progress | None = None,
) -> Released:
    """Write a weights file for a target, with a threshold if there are people to choose one on.

    Args:
        people: the index that the network was trained with, and its pictures: the people that its recipe holds
            out are for the threshold, others for calibration and for the statistics of a word. Without them the
            file has no threshold, and the statistics of the training.
        cache: folder for decoded pictures; needed with ``people``.
        calibration: crops uint8 (N, 112, 112, 3) in place of those of ``people``, for ``cpu-int8``.
        word: the configuration, for an adaptive network.
        fmr: the false match rate that the threshold keeps, by its upper confidence limit.
        flip: whether the threshold is for means with the mirrored crop's embedding.
        plain: in no faster form than that of the training.
        progress: called with (what, done, total).

    Raises:
        ConfigurationError: an adaptive network without a word, or ``cpu-int8`` without pictures.
        RateError: the people held out cannot support the rate.
        WeightsError: the exported file does not compute what the network does.

    """
    recipe = model.recipe
    if bool(blocks(model.network)) != bool(word):
        raise ConfigurationError(
            f"{recipe.network} is adaptive: name one of its words." if not word
            else f"{recipe.network} has no configuration words: leave the word out."
        )  # fmt: skip
    card = EmbeddingCard(
        name=terms.name,
        version=terms.version,
        licence=terms.licence,
        notes=terms.notes,
        data=list(model.record["data"]),
        preprocess=recipe.preprocess,
        training_commit=model.record["commit"],
        network=f"{recipe.network_name}/{word}" if word else recipe.network_name,
    )
    learnt: Portraits | None = None
    held_out: Portraits | None = None
    if people is not None:
        index, pictures = people
        report = None if progress is None else lambda done, total: progress("reading the pictures", done, total)
        learnt, held_out = apart(
            recipe, training_portraits(recipe, index, pictures, cache or out.parent / "cache", report)
        )
        calibration = _evenly(learnt, CALIBRATION) if calibration is None else calibration
    network = _of_word(model, word, learnt)
    if held_out is not None:
        with TemporaryDirectory() as folder:
            draft = export_face(
                network, Path(folder) / "draft.onnx", card, target, calibration=calibration, plain=plain
            )
            card = replace(card, threshold=_threshold(draft.path, held_out, fmr, flip, progress))
    exported = export_face(network, out, card, target, calibration=calibration, plain=plain)
    record = {
        "target": target,
        "form": str(exported.form),
        "difference_from_torch": exported.difference,
        "lowest_cosine_with_torch": exported.cosine,
        "threshold": card.threshold and card.threshold.model_dump(),
        "bytes": exported.path.stat().st_size,
        "training": {key: model.record[key] for key in ("seed", "commit", "data", "index_sha256")},
    }
    return Released(exported.path, record)


def read_crops(source: Path, size: int, limit: int = CALIBRATION) -> NDArray[np.uint8]:
    """Up to ``limit`` crops (N, size, size, 3) of a folder or a tar, spread evenly over it.

    Raises:
        ConfigurationError: not one of them is a picture of ``size`` x ``size`` pixels.
        DataIndexError: the source is neither a folder nor a tar.

    """
    store, names = list_pictures(source)
    crops = []
    for place in np.unique(np.linspace(0, len(names) - 1, min(limit, len(names))).astype(int)):
        try:
            picture = store.image(names[place])
        except ImageError:
            continue
        if picture.shape == (size, size, 3):
            crops.append(picture)
    if not crops:
        raise ConfigurationError(
            f"{source} has no pictures of {size}x{size} pixels: make aligned crops with 'ostiary data align'."
        )
    return np.stack(crops)


def _evenly(portraits: Portraits, limit: int) -> NDArray[np.uint8]:
    return portraits.crops(np.unique(np.linspace(0, len(portraits) - 1, limit).astype(int)).tolist())


def _of_word(model: TrainedFaceNetwork, word: str, learnt: Portraits | None) -> FaceNetwork:
    """The network of one word, with statistics of its own where there are pictures to measure them on."""
    if not word:
        return model.network
    if learnt is None:
        return specialise(model.network, word)
    network = copy.deepcopy(model.network)
    crops = _evenly(learnt, MEASURED)
    parts = np.array_split(crops, max(1, len(crops) // _BATCH))
    inputs = [torch.from_numpy(model.recipe.preprocess.normalise(part)) for part in parts]
    apply_statistics(network, recalibrate(network, word, inputs))
    return specialise(network, word)


def _threshold(
    weights: Path, held_out: Portraits, fmr: float, flip: bool, progress: Progress | None
) -> MatchThreshold:
    """On all mated comparisons of the people held out, and a part of the others."""
    model = EmbeddingModel(weights)
    found = []
    for start in range(0, len(held_out), _BATCH):
        found.append(model.embed(held_out.crops(range(start, min(start + _BATCH, len(held_out)))), flip=flip))
        if progress is not None:
            progress("embedding people held out", min(start + _BATCH, len(held_out)), len(held_out))
    embeddings = np.concatenate(found)
    names = np.array(["/".join(portrait.person or ()) for portrait in held_out.portraits])
    first, second = np.triu_indices(len(names), 1)
    same = names[first] == names[second]
    others = np.flatnonzero(~same)
    if len(others) > NON_MATED:
        others = np.sort(np.random.default_rng(0).choice(others, NON_MATED, replace=False))
    kept = np.concatenate([np.flatnonzero(same), others])
    first, second = first[kept], second[kept]
    comparisons = Comparisons.from_columns(
        similarity(embeddings[first], embeddings[second]),
        same[kept],
        subjects=list(zip(names[first].tolist(), names[second].tolist(), strict=True)),
    )
    datasets = sorted({portrait.dataset for portrait in held_out.portraits})
    data = f"people held out of {', '.join(datasets)}"
    return choose_match_threshold(comparisons, fmr, data=data, flip=flip).record


_BATCH = 32
