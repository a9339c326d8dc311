"""How fast personal verifiers are, what enrolment costs, and from how many people on an embedding is cheaper.

An embedding is made once a probe, whoever is enrolled; personal networks run once a person. So there is a number
of people from which on the embedding wins, and it depends on the machine: it is measured here. All candidates take
turns in one run (ostiary.runtime.timing): one thread, one crop, CPU time of the calling thread. Times of these
networks do not depend on what was learnt, so that an untrained generator serves as well as a trained one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.export.face import face_model
from ostiary.export.face_subjects import PREPROCESS, untrained
from ostiary.export.generator import by_embedding
from ostiary.export.personal import VerifierCard, by_input, export_verifier, with_place, with_weights
from ostiary.export.rewrite import form_for, rewritten
from ostiary.networks.face_network import SIDE, FaceNetwork
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.registry import FACE
from ostiary.runtime.embedding import EmbeddingModel, similarity
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.reissue import reissued
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Template
from ostiary.runtime.timing import Samples, interleave, ratio
from ostiary.runtime.verifier_layers import ARCHITECTURES, Architecture, architecture_named
from ostiary.training.personal.batches import sized

Way = Literal["person", "place", "input"]
Calls = dict[str, Callable[[], object]]

WAYS: tuple[Way, ...] = ("person", "place", "input")
"""One person's file; a session a person with theta in its place; one session with theta as an input."""

BASELINES = ("mobilefacenet", "seesaw_shuffle")
"""In the form that is deployed in floating point, not in the slower one of an ordinary export."""

EMBEDDERS = ("slim_face", "slim_face_int8")
PEOPLE = (1, 2, 3, 5, 10, 20, 50)
SEARCHES: tuple[Literal["place", "input"], ...] = ("place", "input")


def measure_personal(
    *,
    architectures: Sequence[str] = tuple(ARCHITECTURES),
    embedders: Sequence[str] = EMBEDDERS,
    people: Sequence[int] = PEOPLE,
    generator: Hypernetwork | None = None,
    baselines: Mapping[str, FaceNetwork] | None = None,
    crop: NDArray[np.uint8] | None = None,
    rounds: int = 60,
    seed: int = 0,
) -> dict[str, Any]:
    """Time personal verifiers beside face networks.

    Args:
        architectures: names of the verifiers; people are enrolled for the first, unless ``generator`` is given.
        embedders: weights files of embeddings, or names of packaged ones. The first is asked at enrolment.
        people: numbers of people that one probe is compared with.
        generator: makes theta at enrolment, and of its architecture for all comparisons too; by default an
            untrained one of the form ``head``.
        baselines: ``mobilefacenet`` and ``seesaw_shuffle``; by default untrained.
        crop: an aligned crop uint8 (112, 112, 3); by default noise.
        rounds: timed calls of each candidate.
        seed: of the order, the noise and the embeddings.

    Returns:
        ``rounds``. ``networks``: the baselines and embedders, and ``verifiers``: for each architecture
        ``parameters``, ``macs`` and one entry for each of :data:`WAYS`. Each time has ``ms``, ``of_mobilefacenet``
        and ``of_seesaw_shuffle`` with ``..._quartiles``, for the bare networks on a prepared input.
        ``enrolment``: ``form``, ``architecture``, ``embedder``, ``steps_ms``, their sum ``ms``, and
        ``session_ms`` of a session of a person's own, made once. ``search``: ``people``; ``ms`` by way
        (``f112/place``, ..., and embedders) and number, from the crop to similarities; ``crossover`` by way and
        embedder, see :func:`crossover`.

    Raises:
        ConfigurationError: no such architecture, no number of people, or a generator for other embeddings.
        WeightsError: an embedder cannot be opened.

    """
    shapes = {name: architecture_named(name) for name in architectures}
    counts = sorted(set(people))
    if not counts or counts[0] < 1:
        raise ConfigurationError(
            f"One probe cannot be compared with {list(people)} people: give numbers from 1 on."
        )
    models = {Path(name).stem: EmbeddingModel(name) for name in embedders}
    enrols = next(iter(models.values()))
    dimension = enrols.metadata.dimension
    if generator is None:
        torch.manual_seed(seed)
        generator = Hypernetwork("head", next(iter(shapes.values())), dimension=dimension).eval()
    if generator.dimension != dimension:
        raise ConfigurationError(
            f"The generator takes embeddings of {generator.dimension} numbers and {enrols.name} gives "
            f"{dimension}: name the backbone that it was trained with first."
        )
    shapes = {generator.architecture.name: generator.architecture, **shapes}
    random = np.random.default_rng(seed)
    embeddings = random.standard_normal((counts[-1], dimension)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    enrolled = {name: _enrolled(shape, generator, embeddings) for name, shape in shapes.items()}
    fed = random.integers(0, 256, (1, SIDE, SIDE, 3), np.uint8) if crop is None else crop[None]

    calls = _networks(models, baselines, fed)
    for name, shape in shapes.items():
        calls |= _alone(name, shape, enrolled[name][0], fed)
    calls |= _enrolment(enrols, generator, enrolled[generator.architecture.name][0], fed)
    with TemporaryDirectory() as folder:
        for name, shape in shapes.items():
            calls |= _personal_search(name, shape, enrolled[name], fed, counts, Path(folder))
        calls |= _embedded_search(models, embeddings, fed, counts)
        samples = interleave(calls, rounds=rounds, seed=seed)
    return _report(samples, shapes, list(models), counts, generator, rounds)


def crossover(personal: Mapping[int, float], embedding: Mapping[int, float]) -> int | None:
    """The smallest number of people from which on the embedding is cheaper.

    Between two measured numbers the times are taken to grow evenly.

    Args:
        personal: ms of one probe by personal networks, by number of people.
        embedding: the same by an embedding, for the same numbers.

    Returns:
        None where the personal networks are still the cheaper at the largest number.

    """
    counts = sorted(personal)
    ahead = [personal[count] - embedding[count] for count in counts]
    if ahead[-1] <= 0:
        return None
    last = max((place for place, gap in enumerate(ahead) if gap <= 0), default=None)
    if last is None:
        return counts[0]
    below, above = counts[last], counts[last + 1]
    exact = below + (above - below) * -ahead[last] / (ahead[last + 1] - ahead[last])
    return min(above, int(exact) + 1)


def _enrolled(shape: Architecture, generator: Hypernetwork, embeddings: NDArray[np.float32]) -> list[Template]:
    if shape != generator.architecture:
        generator = Hypernetwork("head", shape, dimension=embeddings.shape[1]).eval()
    with torch.inference_mode():
        thetas = generator.theta(torch.from_numpy(embeddings)).numpy()
    return [Template(theta, shape.name, bytes(16), "int8") for theta in thetas]


def _networks(
    models: Mapping[str, EmbeddingModel], baselines: Mapping[str, FaceNetwork] | None, crop: NDArray[np.uint8]
) -> Calls:
    calls: Calls = {}
    chosen = baselines or {name: untrained(FACE[name]) for name in BASELINES}
    for name in BASELINES:
        network = chosen[name].eval()
        model = face_model(rewritten(network, form_for(network, "cpu-fp32")), PREPROCESS)
        calls[f"network/{name}"] = _run(model.SerializeToString(), PREPROCESS.normalise(crop))
    for name, embedder in models.items():
        calls[f"network/{name}"] = _run(embedder.path, embedder.preprocess.normalise(crop))
    return calls


def _alone(name: str, shape: Architecture, template: Template, crop: NDArray[np.uint8]) -> Calls:
    """One person's verifier in the three ways in which it can be run."""
    inputs, theta = shape.preprocess.normalise(sized(crop, shape.size)), template.theta
    shared = make_session(by_input(shape).SerializeToString())
    return {
        f"verifier/{name}/person": _run(with_weights(shape, theta).SerializeToString(), inputs),
        f"verifier/{name}/place": _run(with_place(shape, theta).SerializeToString(), inputs),
        f"verifier/{name}/input": partial(shared.run, None, {"input": inputs, "theta": theta[None]}),
    }


def _enrolment(
    embedder: EmbeddingModel, generator: Hypernetwork, template: Template, crop: NDArray[np.uint8]
) -> Calls:
    session = with_place(template.shape, template.theta).SerializeToString()
    return {
        "enrolment/embedding": partial(embedder.embed, crop),
        "enrolment/theta": _run(by_embedding(generator).SerializeToString(), embedder.embed(crop)),
        "enrolment/template": template.to_bytes,
        "enrolment/reissue": partial(reissued, template),
        "enrolment/session": partial(make_session, session),
    }


def _personal_search(
    name: str,
    shape: Architecture,
    templates: Sequence[Template],
    crop: NDArray[np.uint8],
    counts: Sequence[int],
    folder: Path,
) -> Calls:
    card = VerifierCard(
        name=name, version="0", licence="none", data=[], training_commit="none", preprocess=shape.preprocess,
        architecture=name,
    )  # fmt: skip
    smaller = sized(crop, shape.size)
    calls: Calls = {}
    for way in SEARCHES:
        file = export_verifier(folder / f"{name}-{way}.onnx", card, way)
        verifier = PersonalVerifier(file, keep=counts[-1])
        for count in counts:
            calls[f"search/{name}/{way}/{count}"] = partial(verifier.similarity, smaller, templates[:count])
    return calls


def _embedded_search(
    models: Mapping[str, EmbeddingModel],
    embeddings: NDArray[np.float32],
    crop: NDArray[np.uint8],
    counts: Sequence[int],
) -> Calls:
    def search(model: EmbeddingModel, enrolled: NDArray[np.float32]) -> object:
        return similarity(enrolled, model.embed(crop)[0])

    return {
        f"search/{name}/{count}": partial(search, model, _fitting(embeddings[:count], model))
        for name, model in models.items()
        for count in counts
    }


def _fitting(embeddings: NDArray[np.float32], model: EmbeddingModel) -> NDArray[np.float32]:
    """The same number of embeddings of the model's own length."""
    if embeddings.shape[1] == model.metadata.dimension:
        return embeddings
    return np.eye(model.metadata.dimension, dtype=np.float32)[
        np.arange(len(embeddings)) % model.metadata.dimension
    ]


def _run(model: Path | bytes, inputs: NDArray[np.float32]) -> Callable[[], object]:
    session = make_session(model)
    return partial(session.run, None, {session.get_inputs()[0].name: inputs})


def _report(
    samples: Mapping[str, Samples],
    shapes: Mapping[str, Architecture],
    models: Sequence[str],
    counts: Sequence[int],
    generator: Hypernetwork,
    rounds: int,
) -> dict[str, Any]:
    steps = {
        name.rpartition("/")[2]: found.median for name, found in samples.items() if name.startswith("enrolment/")
    }
    session = steps.pop("session")
    ways = [*(f"{name}/{way}" for name in shapes for way in SEARCHES), *models]
    ms = {way: {count: samples[f"search/{way}/{count}"].median for count in counts} for way in ways}
    return {
        "rounds": rounds,
        "networks": {name: _compared(samples, f"network/{name}") for name in (*BASELINES, *models)},
        "verifiers": {
            name: {
                "parameters": shape.parameters,
                "macs": shape.macs,
                **{way: _compared(samples, f"verifier/{name}/{way}") for way in WAYS},
            }
            for name, shape in shapes.items()
        },
        "enrolment": {
            "form": generator.form,
            "architecture": generator.architecture.name,
            "embedder": models[0],
            "steps_ms": steps,
            "ms": sum(steps.values()),
            "session_ms": session,
        },
        "search": {
            "people": list(counts),
            "ms": {way: {str(count): value for count, value in found.items()} for way, found in ms.items()},
            "crossover": {
                way: {model: crossover(ms[way], ms[model]) for model in models}
                for way in ways
                if way not in models
            },
        },
    }


def _compared(samples: Mapping[str, Samples], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"ms": samples[name].median}
    for base in BASELINES:
        compared = ratio(samples[name], samples[f"network/{base}"])
        found |= {f"of_{base}": compared.value, f"of_{base}_quartiles": list(compared.quartiles)}
    return found
