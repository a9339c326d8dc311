"""``doctor``: what it finds, what is a fault, and a self-test that notices when something computes otherwise."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostiary.errors import ConfigurationError
from ostiary.gate import doctor, self_test
from ostiary.runtime.packaged import LIVENESS, packaged_weights

Run = Callable[..., Any]
At = tuple[str, ...]


@dataclass
class Door:
    """A matcher, as far as it is asked here."""

    model: str
    kind: str = "embedding"
    false_match_rate: float | None = 1e-3


def states(findings: Any) -> list[str]:
    return [one.state for one in findings]


def test_a_healthy_installation_has_no_fault(run: Run, at: At) -> None:
    shown = run("doctor", "--json", *at)
    found = json.loads(shown.stdout)
    assert shown.exit_code == 0, [one for one in found if one["state"] == "fault"]
    about = {one["about"] for one in found}
    assert about >= {
        "python",
        "onnxruntime",
        "extra gate",
        "processor",
        "weights pta_mobilenet_v2",
        "vault",
        "key",
    }
    assert about >= {"self-test detection", "self-test liveness"}
    assert all(one["advice"] for one in found if one["state"] == "warning")
    table = run("doctor", *at)
    assert (table.exit_code, "people enrolled: 0" in table.stdout) == (0, True)


def test_a_fault_is_exit_code_1_and_the_rest_is_still_said(run: Run, at: At, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_bytes(bytes(32))
    shown = run("doctor", "--json", "--vault", at[1], "--key-file", wrong)
    faults = [one for one in json.loads(shown.stdout) if one["state"] == "fault"]
    assert (shown.exit_code, [one["about"] for one in faults]) == (1, ["vault"])
    assert "does not open with this key" in faults[0]["said"]


def test_the_packaged_weights_give_what_they_should() -> None:
    """For new weights take the value that is shown here into ``EXPECTED_LIVENESS``."""
    tried = self_test.try_liveness(str(packaged_weights(LIVENESS)["pta_mobilenet_v2"]))
    assert tried.as_expected, tried.said
    assert self_test.try_detection().as_expected


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, lambda picture: picture * 0 + 90])
def test_a_picture_that_comes_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch, turn: Any) -> None:
    picture = np.ascontiguousarray(np.roll(turn(self_test.drawn_face()), 20, axis=1))
    monkeypatch.setattr(self_test, "drawn_face", lambda: picture)
    found = list(doctor.self_test())
    assert states(found)[0] == "fault"
    assert found[0].advice


def test_colours_exchanged_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.ascontiguousarray(self_test.portrait()[..., ::-1])
    monkeypatch.setattr(self_test, "portrait", lambda: picture)
    assert self_test.try_liveness().as_expected is False


def test_weights_that_nobody_knows_are_only_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "EXPECTED_LIVENESS", {})
    tried = self_test.try_liveness()
    assert tried.as_expected is None
    assert "not recorded" in tried.said


def test_damaged_weights_and_missing_packages_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  net.onnx\n")
    (tmp_path / "net.onnx").write_bytes(b"net")
    assert states(doctor.packaged(tmp_path))[0] == "fault"
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("numpy", "av", "torch") else "1")
    found = {one.about: one for one in doctor.installed()}
    assert (found["numpy"].state, found["extra camera"].state, found["extra train"].state) == (
        "fault",
        "warning",
        "ok",
    )
    assert found["extra camera"].advice == "pip install 'ostiary[camera]'"


def test_cameras_are_listed_and_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert states(doctor.cameras(tmp_path)) == ["warning"]
    (tmp_path / "video0").touch()
    (found,) = doctor.cameras(tmp_path)
    assert (found.state, str(tmp_path / "video0") in found.said) == ("ok", True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "group video" in next(doctor.cameras(tmp_path)).advice
    assert doctor.camera(str(pictures / "astronaut.png")).said == "gave a picture of 512x512 pixels"
    assert doctor.camera(str(tmp_path / "absent")).state == "fault"


def test_what_is_wrong_with_the_door_is_a_fault() -> None:
    def broken() -> Any:
        raise ConfigurationError("The calibration is of another model.")

    def lacking() -> Any:
        raise ModuleNotFoundError("no", name="sqlalchemy")

    stages, (found,) = doctor.door(broken, "face.onnx")
    assert (stages, found.state, found.said) == (None, "fault", "The calibration is of another model.")
    assert doctor.door(lacking, "face.onnx")[1][0].advice == "pip install 'ostiary[gate]'"


def test_the_vault_tells_who_is_not_recognised(at: At, people: Any) -> None:
    with people() as vault:
        vault.add("ada", b"template", "embedding", "ab" * 32, "cd" * 32, consent="said")
        vault.add(
            "bob", b"template", "embedding", "ab" * 32, "cd" * 32, consent="said", retention=date(2020, 1, 1)
        )
        assert states(doctor.vault(vault, Door("ab" * 32))) == ["ok", "warning"]
        other = list(doctor.vault(vault, Door("ef" * 32)))
    assert other[-1].said == "1 of 1 people were enrolled with another model and are not recognised"


def test_it_is_said_when_strangers_would_be_taken_for_somebody(at: At, people: Any) -> None:
    """Six people at one in a hundred each: 1 - 0.99^6 is 5.9 %."""
    with people() as vault:
        for number in range(6):
            vault.add(f"p{number}", b"template", "personal", "ab" * 32, "cd" * 32, consent="said")
        assert states(doctor.vault(vault, Door("ab" * 32, "personal", 1e-3))) == ["ok"]
        assert states(doctor.vault(vault, Door("ab" * 32, "personal", None))) == ["ok"]
        *_, told = doctor.vault(vault, Door("ab" * 32, "personal", 1e-2))
        *_, of_embeddings = doctor.vault(vault, Door("ab" * 32, "embedding", 1e-2))
        of_others = list(doctor.vault(vault, Door("ef" * 32, "personal", 1e-2)))
    assert (told.state, told.about) == ("warning", "identification")
    assert "would take about 6% of strangers for somebody" in told.said
    assert "leave --personal out" in told.advice
    assert "--personal" not in of_embeddings.advice
    assert [one.about for one in of_others] == ["vault", "vault"], "nobody of this model is there to be matched"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_key_that_others_can_read_is_told(key_file: Path) -> None:
    assert doctor.key_file(key_file).state == "ok"
    key_file.chmod(0o644)
    assert doctor.key_file(key_file).advice == f"chmod 600 {key_file}"
