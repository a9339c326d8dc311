"""One session for everybody, one a person, one person's own file: the same similarities, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from ostiary.errors import ConfigurationError, InputError, WeightsError
from ostiary.export.card import sealed
from ostiary.export.personal import (
    VerifierCard,
    by_input,
    export_person,
    export_verifier,
    with_place,
    with_weights,
)
from ostiary.export.verify import BLOCKED_DOMAIN, operators, uses_blocked_layout
from ostiary.runtime.container import read_metadata
from ostiary.runtime.personal import VERIFIER, PersonalVerifier, PersonVerifier
from ostiary.runtime.personal_record import PersonMetadata, VerifierMetadata
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import F64, F112

Make = Callable[..., Template]


def test_similarities_are_what_the_reference_says(
    files: dict[str, Path],
    kind: str,
    make: Make,
    crops: NDArray[np.uint8],
    logits: Callable[..., NDArray[np.float64]],
) -> None:
    model = PersonalVerifier(files[kind])
    people = [make(seed) for seed in range(4)]
    found = model.similarity(crops, people)
    assert (found.dtype, found.shape) == (np.float64, (4, 6))
    x = F64.preprocess.normalise(crops)
    expected = np.stack([logits(person.theta, x) for person in people])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-expected)), atol=1e-4)
    assert np.ptp(found, axis=0).min() > 0.01
    for person, similarity in zip(people, found, strict=True):
        np.testing.assert_allclose(model.similarity(crops, [person])[0], similarity, atol=1e-6)
    np.testing.assert_allclose(model.similarity(crops[2:3], people), found[:, 2:3], atol=1e-6)
    assert repr(model) == "PersonalVerifier(f64, 22665 parameters a person)"


def test_nobody_and_nothing(files: dict[str, Path], kind: str, make: Make, crops: NDArray[np.uint8]) -> None:
    model = PersonalVerifier(files[kind])
    assert model.similarity(crops, []).shape == (0, 6)
    assert model.similarity(crops[:0], [make()]).shape == (1, 0)


def test_sessions_beyond_those_kept_are_made_anew(
    files: dict[str, Path], make: Make, crops: NDArray[np.uint8]
) -> None:
    few, many = PersonalVerifier(files["place"], keep=1), PersonalVerifier(files["place"])
    people = [make(seed) for seed in range(3)]
    for _ in range(2):
        np.testing.assert_array_equal(few.similarity(crops, people), many.similarity(crops, people))


def test_a_persons_own_file(
    files: dict[str, Path], make: Make, crops: NDArray[np.uint8], card: VerifierCard, tmp_path: Path
) -> None:
    person = make(1, threshold=0.7, photos=2)
    path = export_person(person, tmp_path / "person.onnx", card)
    own = PersonVerifier(path)
    everybody = PersonalVerifier(files["input"]).similarity(crops, [person])[0]
    np.testing.assert_allclose(own.similarity(crops), everybody, atol=1e-5)
    assert own.similarity(crops[:0]).shape == (0,)
    assert own.threshold == 0.7
    assert (own.metadata.photos, own.metadata.generator) == (2, bytes(range(16)).hex())
    assert repr(own) == "PersonVerifier(f64)"
    with pytest.raises(WeightsError, match="task 'person', not for verifier"):
        PersonalVerifier(path)
    with pytest.raises(WeightsError, match="task 'verifier', not for person"):
        PersonVerifier(files["input"])
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="is damaged"):
        PersonVerifier(path)


def test_the_graphs_hold_what_they_say(make: Make, tmp_path: Path) -> None:
    theta = make().theta
    plain = with_weights(F64, theta)
    weights = [i for i in plain.graph.initializer if i.data_type == onnx.TensorProto.FLOAT]
    assert sum(int(np.prod(i.dims)) for i in weights) == 22_665
    assert [node.op_type for node in plain.graph.node].count("Conv") == 13
    assert len(by_input(F64).SerializeToString()) < 10_000
    assert not [i for i in by_input(F64).graph.initializer if i.data_type == onnx.TensorProto.FLOAT]
    if uses_blocked_layout():
        for model in (plain, with_place(F64, theta)):
            make_session(model.SerializeToString(), optimised_copy=tmp_path / "run.onnx")
            run = operators(tmp_path / "run.onnx")
            assert run[BLOCKED_DOMAIN, "Conv"] == 13
            assert run["", "Split"] == run["", "Conv"] == 0


def test_other_templates_and_crops_are_refused(
    files: dict[str, Path], kind: str, make: Make, crops: NDArray[np.uint8], card: VerifierCard, tmp_path: Path
) -> None:
    model = PersonalVerifier(files[kind])
    with pytest.raises(WeightsError, match=r"runs the verifier f64, and a template is of f112"):
        model.similarity(crops, [make(), make(architecture="f112")])
    with pytest.raises(InputError, match=r"it takes uint8 \(N, 64, 64, 3\)"):
        model.similarity(np.zeros((1, 112, 112, 3), np.uint8), [make()])
    with pytest.raises(ConfigurationError, match="The card is of f64 and the template of f112"):
        export_person(make(architecture="f112"), tmp_path / "never.onnx", card)
    assert not list(tmp_path.iterdir())


def test_no_number_is_no_similarity(
    files: dict[str, Path], kind: str, make: Make, crops: NDArray[np.uint8]
) -> None:
    """Finite weights can still overflow."""
    huge = replace(make(), theta=make().theta * np.float32(1e30))
    with pytest.raises(WeightsError, match="gives no number for a template: enrol the person again"):
        PersonalVerifier(files[kind]).similarity(crops, [make(), huge])


def test_far_logits_do_not_overflow(
    files: dict[str, Path], kind: str, make: Make, crops: NDArray[np.uint8]
) -> None:
    people = []
    for bias in (-1e4, 1e4):
        theta = make().theta.copy()
        theta[-1] = bias
        people.append(replace(make(), theta=theta))
    found = PersonalVerifier(files[kind]).similarity(crops, people)
    np.testing.assert_array_equal(found, np.repeat([[0.0], [1.0]], 6, axis=1))


def test_a_record_of_another_verifier_is_refused(
    card: VerifierCard, files: dict[str, Path], tmp_path: Path
) -> None:
    record = read_metadata(files["input"], VerifierMetadata)
    assert (record.parameters, record.macs, record.theta) == (22_665, 1_048_792, "input")
    other = record.model_copy(update={"architecture_digest": F112.digest.hex()})
    (tmp_path / "other.onnx").write_bytes(sealed(by_input(F64), other))
    with pytest.raises(WeightsError, match="its f64 is another one than this ostiary's"):
        PersonalVerifier(tmp_path / "other.onnx")
    with pytest.raises(ValidationError, match="another one"):
        export_verifier(tmp_path / "never.onnx", replace(card, preprocess=F112.preprocess))
    with pytest.raises(ConfigurationError, match="no verifier 'f63'"):
        export_verifier(tmp_path / "never.onnx", replace(card, architecture="f63"))
    with pytest.raises(ValidationError):
        PersonMetadata(**(record.model_dump() | {"task": "person", "generator": "", "photos": 1, "threshold": 2}))


def test_a_file_without_a_place_is_refused(files: dict[str, Path], make: Make, tmp_path: Path) -> None:
    record = read_metadata(files["place"], VerifierMetadata)
    for name, model in (("filled", with_place(F64, make().theta)), ("none", by_input(F64))):
        (tmp_path / name).write_bytes(sealed(model, record))
        with pytest.raises(WeightsError, match="has no place for the weights of a person"):
            PersonalVerifier(tmp_path / name)


def test_a_folder_that_is_not_there(card: VerifierCard, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        export_verifier(tmp_path / "absent" / "verifier.onnx", card)


def test_without_a_file_the_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]
) -> None:
    monkeypatch.delenv(VERIFIER.environment, raising=False)
    if VERIFIER.default is None:
        with pytest.raises(WeightsError, match="set OSTIARY_VERIFIER to one"):
            PersonalVerifier()
    monkeypatch.setenv(VERIFIER.environment, str(files["place"]))
    assert PersonalVerifier().path == files["place"]
