"""Golden vectors: what they hold is what the package says, and they are made anew the same."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ostiary.errors import ConfigurationError, InputError
from ostiary.export.golden import golden_vectors, write_golden
from ostiary.export.golden_rules import rules
from ostiary.gate.outcomes import OUTCOMES, STAGES
from ostiary.liveness import Liveness

WORDS = ("LLL", "HLB", "BBB")


@pytest.fixture(scope="module")
def vectors(golden: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(golden.read_text())
    return found


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def test_pictures_and_crops_are_the_pixels_that_they_say(vectors: dict[str, Any]) -> None:
    for case in vectors["cases"]:
        assert len(unpacked(case["rgb"])) == case["width"] * case["height"] * 3
        for face in case["faces"]:
            for crop, side in ((face["loose"], 128), (face["aligned"], 112)):
                content = unpacked(crop["rgb"])
                assert len(content) == side * side * 3
                assert hashlib.sha256(content).hexdigest() == crop["sha256"]


def test_decisions_are_those_of_the_package(vectors: dict[str, Any]) -> None:
    liveness = Liveness(configuration=WORDS[0])
    for case in vectors["cases"]:
        if len(case["faces"]) != 1:
            continue
        pixels = np.frombuffer(unpacked(case["rgb"]), np.uint8).reshape(case["height"], case["width"], 3)
        (face,) = liveness.check(pixels).faces
        alive = case["alive"][WORDS[0]]
        assert alive["accepted"] == face.accepted
        assert alive["reason"] == ("accepted" if face.accepted else face.reason)
        if face.liveness is not None:
            assert face.liveness == pytest.approx(case["faces"][0]["liveness"][WORDS[0]], abs=1e-5)


def test_the_cases_go_every_way_that_a_decision_can_go(vectors: dict[str, Any]) -> None:
    reasons = {case["verified"][word]["reason"] for case in vectors["cases"] for word in WORDS}
    assert reasons >= {"accepted", "no_face", "several_faces", "too_small", "too_dark", "cut_off", "blurred"}
    assert vectors["cases"][0]["faces"][0]["similarity"] == pytest.approx(1, abs=1e-6)


def test_the_rules_hold_the_whole_truth_table() -> None:
    table = unpacked(rules()["table"])
    assert len(table) == len(OUTCOMES) ** len(STAGES)
    assert table.count(255) == 1
    assert table[0] == 255  # all passed comes first
    assert table[1] == len(STAGES) - 1  # then all but the last stage
    assert table[-1] == 0


def test_without_face_weights_nobody_is_verified(pictures: Path) -> None:
    vectors = golden_vectors([pictures / "astronaut.png"], words=["LLL"])
    assert vectors["embedding"] is None
    for case in vectors["cases"]:
        assert "verified" not in case
        assert all("similarity" not in face for face in case["faces"])


def test_pictures_and_words_that_cannot_be_used_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one or more"):
        golden_vectors([])
    with pytest.raises(ConfigurationError, match="no configuration 'XXX'"):
        golden_vectors([pictures / "astronaut.png"], words=["XXX"])
    empty = tmp_path / "empty.png"
    Image.new("RGB", (64, 64)).save(empty)
    with pytest.raises(InputError, match=r"empty\.png does not show one good face"):
        golden_vectors([empty], words=["LLL"])


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_golden(tmp_path / "no such folder" / "golden.json", {})
