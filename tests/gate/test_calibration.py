"""A threshold holds for the model it was chosen with, and for no other."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.gate.calibration import (
    Calibration,
    Companion,
    ModelHashes,
    Operating,
    model_hashes,
    preprocess_hash,
    stored_operating,
)
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.liveness_record import Threshold

ONE, OTHER = ModelHashes("a" * 64, "b" * 64), ModelHashes("c" * 64, "d" * 64)


def _operating(value: float = 0.6, **fields: Any) -> Operating:
    given = {
        "target": "apcer=0.05",
        "rate": 0.01,
        "low": 0.002,
        "high": 0.04,
        "trials": 600,
        "people": 20,
        "data": "door",
        "made": datetime(2026, 3, 1, 12, tzinfo=timezone.utc),
    }
    return Operating(value=value, **{**given, **fields})


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 1.5, exclude_min=True),
    st.floats(0, 1),
    st.none() | st.integers(0, 10**6),
    st.text(max_size=8).filter(lambda text: text.isprintable()),
)
def test_a_file_gives_back_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, value: float, rate: float, people: int | None, data: str
) -> None:
    path = tmp_path_factory.mktemp("saved") / "site.json"
    other = Companion(name="bpcer", rate=rate, low=0, high=1, errors=3, trials=9)
    operating = _operating(value, rate=rate, people=people, data=data, other=other, value_low=0.1, value_high=0.9)
    matching = _operating(0.8, target="fmr=0.001")
    saved = Calibration.of_liveness({"HHH": operating}, ONE).merged(
        Calibration.of_matching(matching, OTHER, flip=True)
    )
    saved.save(path)
    assert Calibration.load(path) == saved
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("part", ["liveness", "matching"])
@pytest.mark.parametrize("field", ["model", "preprocess"])
def test_another_model_or_crop_is_refused(part: str, field: str) -> None:
    make = {"liveness": lambda op, m: Calibration.of_liveness({"HHH": op}, m), "matching": Calibration.of_matching}
    made = make[part](_operating(), ONE)
    assert made.for_models(**{part: ONE}) is made
    with pytest.raises(ConfigurationError, match=rf"another {part} model.*ostiary calibrate"):
        made.for_models(**{part: ONE._replace(**{field: "e" * 64})})


def test_a_part_that_is_not_there_or_not_asked_for_refuses_nothing() -> None:
    made = Calibration.of_liveness({"HHH": _operating()}, ONE)
    assert made.for_models(matching=OTHER, flip=True) is made
    assert made.for_models() is made


def test_similarities_with_and_without_the_mirrored_face_do_not_mix() -> None:
    made = Calibration.of_matching(_operating(), ONE, flip=True)
    made.for_models(matching=ONE, flip=True)
    with pytest.raises(ConfigurationError, match=r"chosen with the mirrored face.*without"):
        made.for_models(matching=ONE, flip=False)


def test_merging_keeps_the_rest_and_takes_the_newer() -> None:
    before = Calibration.of_liveness({"HHH": _operating(0.5), "LLL": _operating(0.4)}, ONE)
    after = before.merged(Calibration.of_liveness({"HHH": _operating(0.7)}, ONE))
    assert {word: found.value for word, found in after.liveness.items()} == {"HHH": 0.7, "LLL": 0.4}
    both = after.merged(Calibration.of_matching(_operating(0.9), OTHER))
    assert both.liveness == after.liveness
    assert both.matching is not None
    assert both.matching.value == 0.9
    again = both.merged(Calibration.of_liveness({"LLL": _operating(0.3)}, ONE))
    assert again.matching == both.matching


def test_thresholds_of_two_models_do_not_merge() -> None:
    before = Calibration.of_liveness({"HHH": _operating()}, ONE)
    with pytest.raises(ConfigurationError, match="another liveness model"):
        before.merged(Calibration.of_liveness({"HHH": _operating()}, OTHER))


@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf")])
def test_a_threshold_that_opens_to_all_or_is_no_number_is_none(value: float) -> None:
    with pytest.raises(ValidationError):
        _operating(value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"liveness_model": None}, "liveness needs"),
        ({"matching_model": "a" * 64, "matching_preprocess": "b" * 64}, "matching needs"),
        ({"liveness_model": "A" * 64}, "liveness_model"),
        ({"format": "2"}, "format"),
        ({"treshold": 1}, "treshold"),
    ],
)
def test_a_changed_file_is_one_sentence(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "site.json"
    Calibration.of_liveness({"HHH": _operating()}, ONE).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigurationError, match=rf"site\.json is no calibration.*{said}"):
        Calibration.load(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "site.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no calibration"):
        Calibration.load(path)


def test_files_that_are_missing_or_huge(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Calibration.load(tmp_path / "none.json")
    (tmp_path / "huge.json").write_bytes(b" " * (2**20 + 1))
    with pytest.raises(ConfigurationError, match="too large"):
        Calibration.load(tmp_path / "huge.json")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Calibration.of_liveness({"H": _operating()}, ONE).save(tmp_path / "none" / "site.json")


def test_hashes_tell_files_and_crops_apart(tmp_path: Path) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"weights")
    crop = Preprocess(crop="loose", size=64, scale=2.0)
    first = model_hashes(path, crop)
    assert first == model_hashes(path, Preprocess(scale=2.0, size=64, crop="loose"))
    assert first.preprocess != preprocess_hash(crop.model_copy(update={"channels": "BGR"}))
    path.write_bytes(b"weightS")
    assert model_hashes(path, crop).model != first.model
    with pytest.raises(ConfigurationError, match="cannot be read"):
        model_hashes(tmp_path / "none.onnx", crop)


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"target": "fmr=0.001", "rate": 0.0, "upper_limit": 0.0009}, 0.0009),
        ({"target": "fpir=0.01@500", "rate": 1e-5, "upper_limit": None}, 1e-5),
        ({"target": "fnmr=0.02", "rate": 0.02, "upper_limit": 0.03}, None),
        (
            {
                "target": "fnmr=0.02",
                "other": Companion(name="fmr", rate=0, low=0, high=0.004, errors=0, trials=900),
            },
            0.004,
        ),
        ({"target": "apcer=0.05", "rate": 0.05}, None),
    ],
)
def test_no_error_among_few_trials_is_no_rate_of_zero(fields: dict[str, Any], known: float | None) -> None:
    assert _operating(**fields).false_match_rate == known


def test_thresholds_in_weights_are_calibrations_too() -> None:
    stored = Threshold(value=0.6, target="apcer_max<=0.05", rate=0.05, n_bona_fide=50, n_attack=80, data="d")
    found = stored_operating(stored)
    assert (found.value, found.target, found.trials, found.data, found.rate) == (0.6, stored.target, 80, "d", None)
    matching = MatchThreshold(value=0.7, rate=1e-3, n_mated=9, n_non_mated=5000, data="e", upper_limit=9e-4)
    assert stored_operating(matching).trials == 5000
    assert stored_operating(matching).upper_limit == 9e-4
    with pytest.raises(ConfigurationError, match="accepts everything"):
        stored_operating(stored.model_copy(update={"value": 0.0}))
