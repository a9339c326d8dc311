"""From a trained generator to a file fit for a door: what ``ostiary export personal`` does.

The threshold is chosen on the people that the training held out, one way, as at a door: one picture enrols,
another is the probe. Enrolment and answers are those of the very files that are shipped, with templates in their
stored precision. A generator is nothing without its embeddings, so the weights that make them are asked for,
checked and named in its record.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import PictureStore
from ostiary.errors import ConfigurationError
from ostiary.export.generator import GeneratorCard, export_generator
from ostiary.export.personal import VerifierCard, export_verifier
from ostiary.export.release import Progress, Released, Terms
from ostiary.gate.calibration import model_hashes
from ostiary.metrics.verification_threshold import ChosenThreshold, choose_match_threshold
from ostiary.metrics.verification_trials import Comparisons
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.generator import Generator
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.verifier_layers import architecture_named
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.run import apart, training_portraits
from ostiary.training.personal.backbone import open_backbone
from ostiary.training.personal.batches import sized
from ostiary.training.personal.run import TrainedPersonal

NON_MATED = 50_000
"""Comparisons of two people that a threshold is chosen on, of all that the people held out would give."""
ASKED = 32
"""Portraits by which weights must show that they are the backbone."""
CLOSEST = 0.999
"""Cosine that each of them must reach; the backbone's file has half precision."""
UNCHECKED = (
    "Nobody checked that these weights made the embeddings that the generator learnt from: give their file with "
    "--backbone, beside --index and --images."
)


def release_personal(
    model: TrainedPersonal,
    embedder: EmbeddingModel,
    out: Path,
    terms: Terms,
    *,
    people: tuple[IdentityIndex, PictureStore] | None = None,
    backbone: Path | None = None,
    cache: Path | None = None,
    fmr: float = 1e-3,
    progress: Progress | None = None,
) -> Released:
    """Write a generator's file, with a threshold if there are people to choose one on.

    Args:
        model: of ``train personal``.
        embedder: the weights whose embeddings the generator is for.
        out: the file.
        terms: what its maker says.
        people: the index that the generator was trained with, and its pictures: those that its recipe holds out
            are for the threshold. Without them the file has none.
        backbone: the file of embeddings that it was trained with, to check the weights by; needs ``people``.
        cache: folder for decoded pictures; by default beside ``out``.
        fmr: the false match rate that the threshold keeps, by its upper confidence limit.
        progress: called with (what, done, total).

    Raises:
        ConfigurationError: the model is a static network, the weights are not its backbone, or ``backbone`` is
            given without people.
        InputError: ``backbone`` is no such file.
        RateError: the people held out cannot support the rate.
        WeightsError: the exported file does not compute what the network does.

    """
    network, recipe = model.network, model.recipe
    if not isinstance(network, Hypernetwork):
        raise ConfigurationError("A static network generates nothing: export a model of another form.")
    _check_record(model, embedder)
    if backbone is not None and people is None:
        raise ConfigurationError("The backbone's file is checked on people: give --index and --images as well.")
    card = GeneratorCard(
        name=terms.name,
        version=terms.version,
        licence=terms.licence,
        notes=terms.notes,
        data=list(model.record["data"]),
        preprocess=recipe.shape.preprocess,
        training_commit=model.record["commit"],
        architecture=recipe.architecture,
        backbone=embedder.name,
        backbone_sha256=model_hashes(embedder.path, embedder.preprocess).model,
    )
    lowest: float | None = None
    chosen: ChosenThreshold | None = None
    if people is not None:
        held_out = _held_out(model, people, cache or out.parent / "cache", progress)
        if backbone is not None:
            lowest = _check_backbone(model, embedder, backbone, held_out)
        with TemporaryDirectory() as folder:
            draft = export_generator(network, Path(folder) / "draft.onnx", card)
            chosen = _threshold(Generator(draft), embedder, held_out, fmr, progress)
        card = replace(card, threshold=chosen.record)
    path = export_generator(network, out, card)
    kept = ("seed", "commit", "data", "backbone", "backbone_sha256", "people", "held_out_people")
    record = {
        "form": network.form,
        "architecture": recipe.architecture,
        "generator": card.metadata(network).generator,
        "weights": {"name": card.backbone, "sha256": card.backbone_sha256},
        "lowest_cosine_with_backbone": lowest,
        "templates": card.templates,
        "threshold": None if chosen is None else _plain(chosen),
        "bytes": path.stat().st_size,
        "training": {key: model.record[key] for key in kept},
        "note": UNCHECKED if lowest is None else None,
    }
    return Released(path, record)


def release_verifier(architecture: str, out: Path, terms: Terms, *, place: bool = False) -> Path:
    """Write the graph that runs everybody's verifiers; nothing in it is trained.

    Args:
        architecture: f112, f112w or f64.
        out: the file.
        terms: what its maker says.
        place: theta takes the place of zeros in the file, in place of being an input.

    Raises:
        ConfigurationError: there is no such architecture, or the file cannot be written.
        WeightsError: the file differs from torch.

    """
    card = VerifierCard(
        name=terms.name,
        version=terms.version,
        licence=terms.licence,
        notes=terms.notes,
        data=[],
        preprocess=architecture_named(architecture).preprocess,
        training_commit="none",
        architecture=architecture,
    )
    return export_verifier(out, card, "place" if place else "input")


def _check_record(model: TrainedPersonal, embedder: EmbeddingModel) -> None:
    """Refuse weights that cannot have made the embeddings."""
    name, dimension = model.record["backbone"], model.record["dimension"]
    if (embedder.name, embedder.metadata.dimension) != (name, dimension):
        raise ConfigurationError(
            f"The generator was trained for {dimension} numbers of {name}, and {embedder.path.name} gives "
            f"{embedder.metadata.dimension} of {embedder.name}: name that backbone with --weights."
        )


def _held_out(
    model: TrainedPersonal, people: tuple[IdentityIndex, PictureStore], cache: Path, progress: Progress | None
) -> Portraits:
    index, pictures = people
    report = None if progress is None else lambda done, total: progress("reading the pictures", done, total)
    faces = model.recipe.faces()
    return apart(faces, training_portraits(faces, index, pictures, cache, report))[1]


def _check_backbone(model: TrainedPersonal, embedder: EmbeddingModel, path: Path, held_out: Portraits) -> float:
    """The lowest cosine of what the weights make of some portraits with what the generator learnt from."""
    backbone = open_backbone(path)
    if backbone.sha256 != model.record["backbone_sha256"]:
        raise ConfigurationError(f"{path} is not the file that the generator was trained with: name that one.")
    places = np.unique(np.linspace(0, len(held_out) - 1, ASKED).astype(int)).tolist()
    known = backbone.of(held_out.select(places))
    lowest = float(np.einsum("nd,nd->n", known, embedder.embed(held_out.crops(places))).min())
    if not lowest > CLOSEST:
        raise ConfigurationError(
            f"{embedder.path.name} is not the file that made {path.name}: its embedding of a portrait has a "
            f"cosine of {lowest:.3f} with the one there; name the weights that the generator was trained for."
        )
    return lowest


def _threshold(
    generator: Generator, embedder: EmbeddingModel, held_out: Portraits, fmr: float, progress: Progress | None
) -> ChosenThreshold:
    """On all mated comparisons of the people held out, and a part of the others."""
    embeddings = _embedded(embedder, held_out, progress)
    shape = architecture_named(generator.metadata.architecture)
    names = np.array(["/".join(portrait.person or ()) for portrait in held_out.portraits])
    rng = np.random.default_rng(0)
    strangers = -(-NON_MATED // len(names))
    similarities, first, second = [], [], []
    with TemporaryDirectory() as folder:
        file = release_verifier(shape.name, Path(folder) / "verifier.onnx", _NOBODY, place=True)
        verifier = PersonalVerifier(file, keep=1)
        for place in range(len(names)):
            own = np.flatnonzero(names == names[place])
            others = np.flatnonzero(names != names[place])
            others = rng.choice(others, min(strangers, len(others)), replace=False)
            probes = np.concatenate([own[own != place], others])
            template = generator.template(embeddings[place : place + 1])
            crops = sized(held_out.crops(probes.tolist()), shape.size)
            similarities.append(verifier.similarity(crops, [template])[0])
            first.append(np.full(len(probes), place))
            second.append(probes)
            if progress is not None:
                progress("enrolling people held out", place + 1, len(names))
    enrolled, probed = names[np.concatenate(first)], names[np.concatenate(second)]
    comparisons = Comparisons.from_columns(
        np.concatenate(similarities),
        enrolled == probed,
        subjects=list(zip(enrolled.tolist(), probed.tolist(), strict=True)),
    )
    datasets = sorted({portrait.dataset for portrait in held_out.portraits})
    return choose_match_threshold(comparisons, fmr, data=f"people held out of {', '.join(datasets)}, one way")


def _embedded(embedder: EmbeddingModel, held_out: Portraits, progress: Progress | None) -> NDArray[np.float32]:
    found = []
    for start in range(0, len(held_out), _BATCH):
        end = min(start + _BATCH, len(held_out))
        found.append(embedder.embed(held_out.crops(range(start, end))))
        if progress is not None:
            progress("embedding people held out", end, len(held_out))
    return np.concatenate(found)


def _plain(chosen: ChosenThreshold) -> dict[str, Any]:
    """The threshold, where it would lie with other people, and what it lets pass on the data it was chosen on."""
    rates = {"fmr": chosen.errors.fmr, "fnmr": chosen.errors.fnmr}
    return {
        **chosen.record.model_dump(),
        "value_interval": [chosen.low, chosen.high],
        **{
            f"measured_{name}": {"value": rate.value, "interval": [rate.interval.low, rate.interval.high]}
            for name, rate in rates.items()
            if rate is not None
        },
    }


_BATCH = 32
_NOBODY = Terms("verifier", "0", "none")
"""Of a file that is gone as soon as the threshold is chosen."""
