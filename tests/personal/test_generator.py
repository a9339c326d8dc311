"""From embeddings to templates: the file computes what torch does, and whoever it cannot serve is told why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from pydantic import ValidationError

from ostiary.errors import ConfigurationError, InputError, OstiaryError, WeightsError
from ostiary.export.card import sealed
from ostiary.export.generator import GeneratorCard, by_embedding, export_generator
from ostiary.networks.hypernetwork import FORMS, Form, Hypernetwork
from ostiary.runtime.container import read_metadata
from ostiary.runtime.generator import GENERATOR, Generator
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.personal_record import GeneratorMetadata
from ostiary.runtime.template import Template, template_bytes
from ostiary.runtime.verifier_layers import F64, F112

from .conftest import DIMENSION, THRESHOLD


def units(number: int, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(number, DIMENSION))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_rows_of_torch(
    form: Form, start: bool, generator_card: GeneratorCard, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    given = {"start": 0.1 * torch.randn(F64.parameters), "projection": torch.randn(DIMENSION, 88)}
    network = Hypernetwork(form, F64, dimension=DIMENSION, **(given if start else {}))
    with torch.no_grad():
        for parameter in network.last_of_code.parameters():  # a start leaves it at zero
            parameter.normal_(0, 0.1)
    generator = Generator(export_generator(network, tmp_path / "generator.onnx", generator_card))
    embeddings = units(3)
    with torch.no_grad():
        expected = network.theta(torch.from_numpy(embeddings)).numpy()
    found = generator.theta(embeddings)
    assert (found.dtype, found.shape) == (np.float32, (3, F64.parameters))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert repr(generator) == f"Generator({form} f64, for noise)"
    assert generator.theta(embeddings[:0]).shape == (0, F64.parameters)


def test_what_people_share_is_stored_once(generator_file: Path, hypernetwork: Hypernetwork) -> None:
    numbers = sum(parameter.numel() for parameter in hypernetwork.parameters())
    assert generator_file.stat().st_size < 4 * numbers + 10_000


def test_the_record_says_what_it_is_for(
    generator_file: Path, hypernetwork: Hypernetwork, generator_card: GeneratorCard
) -> None:
    record = read_metadata(generator_file, GeneratorMetadata)
    assert (record.form, record.dimension, record.backbone) == ("head", DIMENSION, "noise")
    assert (record.architecture, record.architecture_digest) == ("f64", F64.digest.hex())
    assert record.generator == hypernetwork.digest(generator_card.backbone_sha256).hex()
    assert (record.templates, record.threshold) == ("int8", THRESHOLD)
    for wrong in (0.0, 1.5):
        threshold = THRESHOLD.model_copy(update={"value": wrong})
        with pytest.raises(ValidationError, match="lets everybody in"):
            GeneratorMetadata(**(record.model_dump() | {"threshold": threshold}))


def test_a_template_is_of_the_mean_and_says_where_it_comes_from(
    generator_file: Path, hypernetwork: Hypernetwork, generator_card: GeneratorCard
) -> None:
    generator = Generator(generator_file)
    embeddings = units(3, seed=2)
    template = generator.template(embeddings, precision="fp32", fresh=False)
    mean = embeddings.mean(0, keepdims=True)
    np.testing.assert_allclose(
        template.theta, generator.theta(mean / np.linalg.norm(mean))[0], rtol=1e-5, atol=1e-6
    )
    assert (template.architecture, template.precision, template.photos) == ("f64", "fp32", 3)
    assert template.generator == hypernetwork.digest(generator_card.backbone_sha256)
    assert template.threshold == generator.threshold == 0.5
    small = generator.template(embeddings)
    assert len(small.to_bytes()) == template_bytes(F64, "int8")
    assert Template.from_bytes(small.to_bytes()).photos == 3


def test_two_enrolments_are_alike_in_what_they_answer_alone(
    generator_file: Path, files: dict[str, Path], crops: NDArray[np.uint8]
) -> None:
    generator, verifier = Generator(generator_file), PersonalVerifier(files["input"])
    one, other = (Template.from_bytes(generator.template(units(1)).to_bytes()) for _ in range(2))
    plain = generator.template(units(1), fresh=False)
    answers = verifier.similarity(crops, [one, other, plain])
    np.testing.assert_allclose(answers, np.repeat(answers[2:], 3, axis=0), atol=1e-4)
    # The last layer is not the same in another order and with other signs only: compare numbers in place.
    hidden = slice(0, F64.parameters - F64.layers[-1].parameters)
    assert (one.theta[hidden] == other.theta[hidden]).mean() < 0.1
    assert np.array_equal(plain.theta, generator.template(units(1), fresh=False).theta)
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("embeddings", "said"),
    [
        (np.zeros((1, DIMENSION + 1)), r"do not fit generator.onnx: it takes \(N, 8\) of noise"),
        (units(1)[0], r"shape \(8,\) do not fit"),
        (np.full((1, DIMENSION), np.nan), "not of unit length"),
        (np.concatenate([units(1), np.full((1, DIMENSION), np.nan)]), "not of unit length"),
        (2 * units(1), "not of unit length"),
        (units(1)[:0], "There is no embedding"),
        (np.concatenate([units(1), -units(1)]), "point in opposite directions"),
    ],
)
def test_embeddings_that_cannot_be_are_refused(
    generator_file: Path, embeddings: NDArray[np.floating], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Generator(generator_file).template(embeddings)


def test_a_damaged_or_foreign_file_is_refused(
    generator_file: Path, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WeightsError, match="task 'verifier', not for generator"):
        Generator(files["input"])
    with pytest.raises(WeightsError, match="task 'generator', not for verifier"):
        PersonalVerifier(generator_file)
    content = bytearray(generator_file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.onnx").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="is damaged"):
        Generator(tmp_path / "damaged.onnx")
    monkeypatch.delenv(GENERATOR.environment, raising=False)
    if GENERATOR.default is None:
        with pytest.raises(WeightsError, match="comes without personal generator weights"):
            Generator()
    monkeypatch.setenv(GENERATOR.environment, str(generator_file))
    assert Generator().path == generator_file


def test_a_graph_that_is_not_what_its_record_says_is_refused(
    generator_file: Path, hypernetwork: Hypernetwork, tmp_path: Path
) -> None:
    record, model = read_metadata(generator_file, GeneratorMetadata), by_embedding(hypernetwork)
    (tmp_path / "other.onnx").write_bytes(sealed(model, record.model_copy(update={"dimension": 9})))
    with pytest.raises(WeightsError, match="takes inputs of shape"):
        Generator(tmp_path / "other.onnx")
    (last,) = [node for node in model.graph.node if node.output[0] == "theta"]
    last.output[0] = "finite"
    model.graph.node.append(helper.make_node("Div", ["finite", "zero"], ["theta"]))
    zero = helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0])
    model.graph.initializer.append(zero)
    (tmp_path / "nan.onnx").write_bytes(sealed(model, record))
    with pytest.raises(WeightsError, match="gives no 22665 finite numbers"):
        Generator(tmp_path / "nan.onnx").template(units(1))


def test_nothing_is_written_that_differs_from_torch(
    hypernetwork: Hypernetwork, generator_card: GeneratorCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(generator_card, architecture="f112", preprocess=F112.preprocess)
    with pytest.raises(ConfigurationError, match="The card is of f112 and the generator of f64"):
        export_generator(hypernetwork, tmp_path / "never.onnx", other)
    theta = hypernetwork.theta
    monkeypatch.setattr(hypernetwork, "theta", lambda embeddings: theta(embeddings) * 1.001)
    with pytest.raises(OstiaryError, match="differs from torch in stem"):
        export_generator(hypernetwork, tmp_path / "never.onnx", generator_card)
    assert not list(tmp_path.iterdir())
