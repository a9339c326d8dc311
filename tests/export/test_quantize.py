"""One configuration with 8-bit weights: close to the float model, and read by the same runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.adaptive import BatchStatistics
from ostiary.errors import ConfigurationError
from ostiary.export.card import Card
from ostiary.export.quantize import export_int8
from ostiary.networks.mobilenet_v2 import MobileNetV2
from ostiary.runtime.liveness import LivenessModel


def test_int8_is_close_to_float(
    net: MobileNetV2, statistics: dict[str, BatchStatistics], files: dict[str, Path], card: Card, tmp_path: Path
) -> None:
    size = card.preprocess.size
    crops = np.random.default_rng(0).integers(0, 256, (12, size, size, 3), np.uint8)
    calibration = card.preprocess.normalise(crops[:8])
    path = export_int8(net, "LLL", tmp_path / "lll.onnx", card, calibration, statistics=statistics)
    small = LivenessModel(path)
    assert small.words == ["LLL"]
    assert small.metadata.precision == "int8"
    assert small.metadata.statistics == "per_configuration"
    assert path.stat().st_size < 2_100_000
    float_logits = LivenessModel(files["per_configuration"]).logits(crops, "LLL")
    spread = float_logits.std(axis=0).mean() + np.abs(float_logits).mean()
    assert np.abs(small.logits(crops) - float_logits).mean() < 0.1 * spread
    np.testing.assert_array_equal(small.logits(crops), small.logits(crops, "LLL", switched=True))
    with pytest.raises(ConfigurationError, match="it has: LLL"):
        small.logits(crops, "HHH")


def test_calibration_needs_pictures(net: MobileNetV2, card: Card, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pictures to calibrate on"):
        export_int8(net, "LLL", tmp_path / "lll.onnx", card, np.zeros((0, 3, 64, 64), np.float32))
