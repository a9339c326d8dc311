"""A short, always equal part of ``benchmarks/fuzz.py``, and what keeps the fuzzing itself honest."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz_data import DATA
from fuzz_gate import GATE
from fuzz_mutations import _BYTES, _TEXT, Damage, mutated
from fuzz_runtime import RUNTIME
from fuzz_trial import Subject, TooLongError, Trials, time_limit

from ostiary.errors import InputError

INPUTS = 24
"""Of each reader; ``benchmarks/fuzz.py`` begins with the same ones."""

GOLDEN = "4f719ee760118b6450caac5e83f5aee3340c67cb4271f7761eac7c8deba29779"
"""Of what a seed gives, on every machine and with every Python: findings are named by their number."""


@pytest.mark.parametrize("subject", [*RUNTIME, *GATE, *DATA], ids=lambda subject: subject.name)
def test_a_damaged_file_is_refused_or_harmless(subject: Subject, tmp_path: Path) -> None:
    trials = Trials(subject, tmp_path)
    found = {number: trials.run(number, seed=0) for number in range(INPUTS)}
    assert {number: trial.found for number, trial in found.items() if trial.ending == "finding"} == {}
    assert Counter(trial.ending for trial in found.values())["refused"] > 0


def of(read: Callable[[bytes], object], *, sealed: bool = False) -> Subject:
    """A reader of one file of text."""
    content = b'{"number": 17}\n'
    return Subject(
        "drawn", lambda _: [{"file": content}], lambda at: read((at / "file").read_bytes()), ("file",), sealed
    )


class RudeError(InputError):
    """Shows its message as it is; the errors of this package do not."""

    def __str__(self) -> str:
        return str(self.args[0])


def refuse(sentence: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        if b"17" not in content:
            raise RudeError(sentence)
        return content

    return read


def crash(content: bytes) -> object:
    return content.decode()[10]


def never_end(content: bytes) -> object:
    while b"17" not in content:
        pass
    return content


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (of(crash), "IndexError at outside"),
        (of(lambda content: content, sealed=True), "accepted"),
        (of(refuse("It is\nbroken.")), "no sentence to be shown"),
        (of(refuse("It is \ud800.")), "no sentence to be shown"),
        (of(refuse("word " * 1000)), "no sentence to be shown"),
    ],
    ids=["crash", "wrong acceptance", "two lines", "not printable", "endless sentence"],
)
def test_a_bad_reader_is_found(subject: Subject, kind: str, tmp_path: Path) -> None:
    trials = Trials(subject, tmp_path)
    assert any(kind in trials.run(number, seed=0).found for number in range(40))


def test_a_reader_that_never_ends_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz_trial.LONGEST_S", 0.02)
    trials = Trials(of(never_end), tmp_path)
    assert any("TooLongError" in trials.run(number, seed=0).found for number in range(40))


def test_a_good_reader_has_no_findings(tmp_path: Path) -> None:
    trials = Trials(of(refuse("It holds no 17; write one.")), tmp_path)
    endings = Counter(trials.run(number, seed=0).ending for number in range(60))
    assert set(endings) == {"refused", "without effect", "read otherwise"}


def test_the_limit_lets_pass_what_is_quick() -> None:
    with time_limit(5):
        pass
    with pytest.raises(TooLongError), time_limit(0.01):
        never_end(b"")


def test_a_seed_always_gives_the_same_bytes() -> None:
    content, others = bytes(range(256)) * 8, [b"another file, 12, true\n" * 9]
    made = [mutated(content, others, f"seed {number}", text=bool(number % 2)) for number in range(200)]
    digest = hashlib.sha256(b"|".join(made)).hexdigest()
    assert digest == GOLDEN
    assert sum(one != content for one in made) > 150


@pytest.mark.parametrize("damage", [*_BYTES, *_TEXT], ids=lambda damage: damage.__name__)
def test_each_damage_takes_anything_and_does_something(damage: Damage) -> None:
    chance, content = random.Random(0), b'a,b,1\n{"c": "d"},2.5\n' * 40
    assert any(damage(content, [content[::-1]], chance) != content for _ in range(20))
    for short in (b"", b"x"):
        for _ in range(20):
            assert isinstance(damage(short, [b"", short], chance), bytes)
