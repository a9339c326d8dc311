"""The gate's liveness is ``Liveness``'s own, of faces that were found already, by a threshold of a record."""

from __future__ import annotations

from pathlib import Path

import pytest
from numpy.typing import NDArray

from ostiary import Liveness, read_image
from ostiary.errors import ConfigurationError
from ostiary.faces.detector import Face, FaceDetector
from ostiary.gate.calibration import Calibration, ModelHashes, Operating, model_hashes
from ostiary.gate.liveness_stage import LivenessStage
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.packaged import resolve_weights


@pytest.fixture(scope="module")
def hopper(pictures: Path) -> NDArray:  # type: ignore[type-arg]
    return read_image(pictures / "grace_hopper.jpg")


@pytest.fixture(scope="module")
def face(hopper: NDArray) -> Face:  # type: ignore[type-arg]
    return FaceDetector().detect(hopper)[0]


@pytest.fixture(scope="module")
def model() -> LivenessModel:
    return LivenessModel()


@pytest.fixture(scope="module")
def hashes(model: LivenessModel) -> ModelHashes:
    return model_hashes(resolve_weights(), model.metadata.preprocess)


def operating(value: float) -> Operating:
    return Operating(
        value=value,
        target="apcer=0.05",
        rate=0.05,
        low=0.0,
        high=0.1,
        trials=400,
        people=40,
        data="site",
        made=None,
    )


def test_it_answers_as_liveness_does(hopper: NDArray, face: Face, model: LivenessModel) -> None:  # type: ignore[type-arg]
    stage, whole = LivenessStage(), Liveness(quality=None)
    (expected,) = whole.check(hopper).faces
    first, second = stage.measure(hopper, [face, face])
    assert first.value == pytest.approx(expected.liveness, abs=1e-6)
    assert first == second
    assert first.threshold == model.threshold().value == expected.threshold
    assert (stage.configuration, stage.problems) == (whole.configuration, ())
    assert stage.measure(hopper, []) == []


def test_the_sites_threshold_takes_the_place_of_the_weights(
    hopper: NDArray,
    face: Face,
    model: LivenessModel,
    hashes: ModelHashes,  # type: ignore[type-arg]
) -> None:
    word = model.metadata.default_configuration
    site = Calibration.of_liveness({word: operating(0.123)}, hashes)
    assert LivenessStage(calibration=site).measure(hopper, [face])[0].threshold == 0.123
    other = next(one for one in model.words if one != word)
    with pytest.raises(ConfigurationError, match=f"has liveness thresholds for {word}, and none for {other}"):
        LivenessStage(configuration=other, calibration=site)
    foreign = Calibration.of_liveness({word: operating(0.123)}, ModelHashes("0" * 64, hashes.preprocess))
    with pytest.raises(ConfigurationError, match="another liveness model"):
        LivenessStage(calibration=foreign)
    only_matching = Calibration.of_matching(operating(0.9), hashes)
    assert LivenessStage(calibration=only_matching).measure(hopper, [face])[0].threshold == model.threshold().value


def test_words_that_do_not_exist_and_choices_that_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="there is no configuration 'XYZ'"):
        LivenessStage(configuration="XYZ")
    with pytest.raises(ConfigurationError, match="not both"):
        LivenessStage(configuration="HHH", budget_ms=10)
