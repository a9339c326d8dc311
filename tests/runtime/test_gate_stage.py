"""The gate's liveness stage by a tiny file: budget, cascade, and words without a threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from ostiary.errors import ConfigurationError
from ostiary.faces.detector import Box, Face
from ostiary.gate.calibration import Calibration, Operating, model_hashes
from ostiary.gate.liveness_stage import LivenessStage
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, seal
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Band, Threshold

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
FACES = [Face(Box(8.0 * at, 8, 40, 40), np.zeros((5, 2), np.float32), 0.9) for at in range(3)]


def site(weights: Path, *words: str) -> Calibration:
    """A threshold for each word, which says which it is: 0.1, 0.2, ..."""
    thresholds = {
        word: Operating(
            value=number / 10, target="apcer=0.05", rate=0.05, low=0.0, high=0.1, trials=400, people=None,
            data="site", made=None,
        )
        for number, word in enumerate(words, 1)
    }  # fmt: skip
    return Calibration.of_liveness(thresholds, model_hashes(weights, LivenessModel(weights).metadata.preprocess))


def test_a_word_without_a_threshold_is_measured_and_accepts_nobody(tiny_weights: Path) -> None:
    bare = LivenessStage(tiny_weights, configuration="BB")
    assert bare.problems[0].startswith(
        "tiny.onnx records no liveness threshold for BB, and no calibration gives one"
    )
    assert [(face.value is not None, face.threshold) for face in bare.measure(PIXELS, FACES)] == [(True, None)] * 3
    calibrated = LivenessStage(tiny_weights, configuration="BB", calibration=site(tiny_weights, "BB"))
    assert calibrated.problems == ()
    assert [face.threshold for face in calibrated.measure(PIXELS, FACES)] == [0.1] * 3
    assert [face.value for face in calibrated.measure(PIXELS, FACES)] == [
        face.value for face in bare.measure(PIXELS, FACES)
    ]


def test_a_budget_needs_a_threshold_for_whatever_may_judge(tiny_weights: Path) -> None:
    words = LivenessModel(tiny_weights).words
    assert "no liveness threshold for" in LivenessStage(tiny_weights, budget_ms=1000).problems[0]
    with pytest.raises(ConfigurationError, match="has liveness thresholds for HL, and none for"):
        LivenessStage(tiny_weights, budget_ms=1000, calibration=site(tiny_weights, "HL"))
    stage = LivenessStage(tiny_weights, budget_ms=1000, calibration=site(tiny_weights, *words))
    word = stage.configuration
    assert [face.threshold for face in stage.measure(PIXELS, FACES)] == [(words.index(word) + 1) / 10] * 3


@pytest.fixture(scope="module")
def cascaded(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LL judges; the two faces whose answers are not its least go on to BB."""
    model = LivenessModel(tiny_weights)
    low, middle, high = sorted(
        face.value or 0.0 for face in LivenessStage(tiny_weights, configuration="LL").measure(PIXELS, FACES)
    )
    configurations = dict(model.metadata.configurations)
    for word, value in (("LL", middle), ("BB", 0.25)):
        threshold = Threshold(value=value, target="eer", rate=0.1, n_bona_fide=6, n_attack=6, data="noise")
        configurations[word] = configurations[word].model_copy(update={"threshold": threshold})
    band = Band(first="LL", second="BB", low=(low + middle) / 2, high=min(1.0, high + 0.1))
    record = model.metadata.model_copy(update={"configurations": configurations, "cascade": band})
    network = onnx.load(tiny_weights)
    helper.set_model_props(network, {MODEL_KEY: record.model_dump_json(exclude_none=True), HASH_KEY: ZERO_HASH})
    path = tmp_path_factory.mktemp("cascaded") / "cascaded.onnx"
    path.write_bytes(seal(network.SerializeToString()))
    return path


def test_a_cascade_has_the_threshold_of_the_word_that_judged_or_one_of_the_site(cascaded: Path) -> None:
    stage = LivenessStage(cascaded, cascade=True)
    assert (stage.configuration, stage.problems) == ("LL>BB", ())
    stored = {word: LivenessModel(cascaded).threshold(word).value for word in ("LL", "BB")}
    found = [face.threshold for face in stage.measure(PIXELS, FACES)]
    assert sorted(map(str, found)) == sorted(map(str, [stored["LL"], stored["BB"], stored["BB"]]))
    whole = LivenessStage(cascaded, cascade=True, calibration=site(cascaded, "LL>BB"))
    assert [face.threshold for face in whole.measure(PIXELS, FACES)] == [0.1] * 3
    assert [face.value for face in whole.measure(PIXELS, FACES)] == [
        face.value for face in stage.measure(PIXELS, FACES)
    ]
    with pytest.raises(ConfigurationError, match="and none for LL>BB"):
        LivenessStage(cascaded, cascade=True, calibration=site(cascaded, "LL", "BB"))
