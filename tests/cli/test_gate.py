"""``enrol``, ``verify``, ``identify`` as a user meets them: exit codes, sentences, JSON, and secrets that stay."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, get_args

import pytest

from ostiary.cli import door
from ostiary.cli.decisions import REASONS
from ostiary.errors import ConfigurationError, ImageError, InputError, VaultError, WeightsError
from ostiary.gate.decision import Reason

Run = Callable[..., Any]
At = tuple[str, ...]
Photo = Callable[[str], Path]
SAID = ("--consent", "signed 2026-03-01, folder 7")


@pytest.fixture
def ada(run: Run, at: At, photo: Photo) -> At:
    """A vault in which ada is enrolled."""
    assert run("enrol", "ada", photo("ada"), *SAID, *at).exit_code == 0
    return at


def test_who_is_enrolled_passes_and_nobody_else(run: Run, ada: At, photo: Photo) -> None:
    passed = run("verify", photo("ada"), "--user", "ada", *ada)
    assert (passed.exit_code, passed.stdout, passed.stderr) == (0, "Accepted ada.\n", "")
    other = run("verify", photo("bob"), "--user", "ada", *ada)
    assert (other.exit_code, other.stdout) == (1, "Refused ada: not the person who was claimed.\n")
    attack = run("verify", photo("attack"), "--user", "ada", *ada)
    assert attack.exit_code == 1
    assert attack.stdout.startswith("Refused ada: looks like a print, a screen or a mask")
    assert run("verify", photo("nobody"), "--user", "ada", *ada).exit_code == 1
    assert "nobody is enrolled by this handle" in run("verify", photo("ada"), "--user", "eve", *ada).stdout


def test_identify_says_who(run: Run, ada: At, photo: Photo) -> None:
    assert run("identify", photo("ada"), *ada).stdout == "Accepted ada.\n"
    unknown = run("identify", photo("bob"), *ada)
    assert (unknown.exit_code, unknown.stdout) == (1, "Refused: nobody who is enrolled.\n")


def test_a_claim_must_be_made_by_name(run: Run, ada: At, photo: Photo) -> None:
    assert run("verify", photo("ada"), *ada).exit_code == 2


def test_json_is_all_that_is_on_stdout_and_measurements_are_asked_for(run: Run, ada: At, photo: Photo) -> None:
    shown = run("verify", photo("ada"), "--user", "ada", "--json", *ada)
    told = json.loads(shown.stdout)
    assert told["accepted"] is True
    del told["milliseconds"]  # any digits may stand in times
    assert "0.98" not in str(told)
    assert "similarity" not in shown.stdout
    more = json.loads(run("verify", photo("ada"), "--user", "ada", "--json", "--measurements", *ada).stdout)
    assert (more["liveness"], more["similarity"]) == (pytest.approx(0.9876), pytest.approx(1))
    plain = run("verify", photo("ada"), "--user", "ada", "--measurements", *ada).stdout
    assert plain == "Accepted ada (liveness 0.988, similarity 1.000).\n"


def test_several_photos_must_agree(run: Run, ada: At, photo: Photo) -> None:
    assert run("verify", photo("ada"), photo("ada"), "--user", "ada", *ada).exit_code == 0
    assert run("verify", photo("ada"), photo("bob"), "--user", "ada", *ada).exit_code == 1
    assert run("verify", photo("ada"), photo("nobody"), "--user", "ada", *ada).exit_code == 1
    assert run("verify", photo("ada"), photo("bob"), "--user", "ada", "--frames", "1", *ada).exit_code == 0


def test_a_stage_that_breaks_is_exit_code_2(run: Run, ada: At, photo: Photo, broken_matcher: None) -> None:
    broken = run("verify", photo("ada"), "--user", "ada", *ada)
    assert broken.exit_code == 2
    assert broken.stdout.startswith("Refused ada: ZeroDivisionError in conftest.py")


def test_an_attack_is_not_enrolled_unless_watched(run: Run, at: At, photo: Photo, people: Any) -> None:
    refused = run("enrol", "ada", photo("attack"), *SAID, "--json", *at)
    report = json.loads(refused.stdout)
    assert (refused.exit_code, report["enrolled"], report["reason"]) == (1, False, "presentation_attack")
    with people() as vault:
        assert vault.list() == ()
    watched = run("enroll", "ada", photo("attack"), *SAID, "--watched", "--retention", "2099-12-31", *at)
    assert (watched.exit_code, watched.stdout) == (0, "'ada' is enrolled from one photo; no photo is kept.\n")
    with people() as vault:
        assert vault.open("ada").retention == date(2099, 12, 31)
        assert vault.open("ada").consent == SAID[1]


def test_one_face_has_one_handle_and_one_handle_one_face(run: Run, ada: At, photo: Photo) -> None:
    assert run("enrol", "eve", photo("ada"), *SAID, *ada).exit_code == 1
    assert run("enrol", "eve", photo("ada"), *SAID, "--allow-duplicate", *ada).exit_code == 0
    assert run("enrol", "ada", photo("bob"), *SAID, *ada).exit_code == 1
    assert run("enrol", "ada", photo("bob"), *SAID, "--renew", *ada).exit_code == 0
    assert run("verify", photo("bob"), "--user", "ada", *ada).exit_code == 0


@pytest.mark.parametrize("wrong", [(), ("--consent", "said", "--retention", "tomorrow")])
def test_an_enrolment_needs_consent_and_a_real_date(run: Run, at: At, photo: Photo, wrong: At) -> None:
    assert run("enrol", "ada", photo("ada"), *wrong, *at).exit_code == 2


def test_mistakes_are_errors_of_one_sentence(run: Run, ada: At, photo: Photo, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="says nothing about several faces"):
        run("verify", photo("ada"), "--user", "ada", "--several-faces", "some", *ada)
    with pytest.raises(ImageError, match="absent"):
        run("verify", tmp_path / "absent.png", "--user", "ada", *ada)
    with pytest.raises(InputError, match="consent note is empty"):
        run("enrol", "eve", photo("bob"), "--consent", " ", *ada)
    with pytest.raises(ConfigurationError, match=r"absent\.json cannot be read"):
        run("verify", photo("ada"), "--user", "ada", "--calibration", tmp_path / "absent.json", *ada)
    with pytest.raises(VaultError, match="is not there"):
        run("verify", photo("ada"), "--user", "ada", "--vault", tmp_path / "no.db", *ada[2:])


def test_without_weights_one_sentence_comes_before_the_passphrase(
    plain_run: Run, at: At, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ask", lambda *_: pytest.fail("asked for a passphrase"))
    with pytest.raises(WeightsError, match="neither a file nor a packaged face embedding model"):
        plain_run("verify", photo("ada"), "--user", "ada", "--weights", "absent.onnx", *at[:2])


def test_the_environment_names_files_and_no_secret_is_shown(
    run: Run, ada: At, photo: Photo, key_file: Path, tmp_path: Path
) -> None:
    log = tmp_path / "audit.jsonl"
    environment = {"OSTIARY_VAULT": ada[1], "OSTIARY_KEY_FILE": str(key_file), "OSTIARY_LOG": str(log)}
    shown = run("verify", photo("ada"), "--user", "ada", **environment)
    assert shown.exit_code == 0
    help_page = run("verify", "--help", **environment)
    secret = key_file.read_bytes()
    for text in (shown.output, help_page.output, log.read_text(), repr(door.VaultOptions(key_file=key_file))):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
        assert str(key_file) not in help_page.output


def test_every_reason_has_words() -> None:
    reasons = {word for part in get_args(Reason) for word in get_args(part)}
    assert set(REASONS) == reasons


def test_the_sentence_of_a_lock_out_says_how_long(run: Run, ada: At, photo: Photo) -> None:
    for _ in range(5):
        run("verify", photo("bob"), "--user", "ada", *ada)
    locked = run("verify", photo("ada"), "--user", "ada", *ada)
    assert locked.exit_code == 1
    assert locked.stdout.startswith("Refused ada: too many refusals; wait ")


def test_options_of_a_dataclass_are_options_of_the_command() -> None:
    seen: list[Any] = []

    @door.with_options
    def command(name: str, options: door.VaultOptions, loud: bool = False) -> None:
        """Say it."""
        seen.append((name, options, loud))

    command(name="ada", loud=True, vault="v.db", key_file=None, passphrase_file=None, keyring=True)
    assert seen == [("ada", door.VaultOptions(vault="v.db", keyring=True), True)]
    assert list(inspect.signature(command).parameters)[:3] == ["name", "loud", "vault"]


def test_a_missing_package_names_its_extra() -> None:
    @door.with_options
    def command(options: door.VaultOptions) -> None:
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy")

    with pytest.raises(door.MissingExtraError, match=r"sqlalchemy is not installed.*ostiary\[gate\]"):
        command(vault=None, key_file=None, passphrase_file=None, keyring=False)
