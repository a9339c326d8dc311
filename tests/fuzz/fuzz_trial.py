"""One trial: a damaged file is read, and there are three good ends.

It is refused by an error raised on purpose, in one sentence; or it is read as if nothing had happened, because the
damage lay where nothing is said; or, where a format has no seal, it is read as something else that its contract
allows. Whatever else happens is a finding.
"""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fuzz_mutations import mutated

from ostiary.errors import OstiaryError

Files = Mapping[str, bytes]
"""What a reader is given: names of files and their contents."""

Ending = Literal["refused", "without effect", "read otherwise", "finding"]

LONGEST_S = 3.0
"""Seconds of processor time that reading one input may take."""

LONGEST_SENTENCE = 2000


@dataclass(frozen=True)
class Subject:
    """A reader, valid inputs for it, and what may become of damaged ones.

    Attributes:
        name: of the format.
        valid: writes valid inputs into an empty folder if it needs one, and returns them.
        read: reads the input that lies in a folder; what it returns says all that was read and is compared. An
            AssertionError says that something was read that must not be.
        damaged: the files of an input that are damaged, one a trial.
        sealed: whatever was changed must be noticed, or be without effect.
        text: whether the format is text.

    """

    name: str
    valid: Callable[[Path], Sequence[Files]]
    read: Callable[[Path], object]
    damaged: tuple[str, ...]
    sealed: bool = False
    text: bool = False


@dataclass(frozen=True)
class Trial:
    """How it ended, and what was found."""

    ending: Ending
    found: str = ""


class Trials:
    """All trials of one subject, each from its number alone.

    Args:
        subject: what is read.
        folder: a scratch folder of its own.

    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject = subject
        self._place = folder / "input"
        made = folder / "valid"
        made.mkdir(parents=True)
        self._valid = list(subject.valid(made))
        self._said = [self._read(files) for files in self._valid]

    def files(self, number: int, seed: int) -> Files:
        """A damaged input."""
        name = self.subject.damaged[number % len(self.subject.damaged)]
        chosen = number // len(self.subject.damaged) % len(self._valid)
        before = self._valid[chosen][name]
        others = [files[name] for files in self._valid]
        content = mutated(before, others, f"{self.subject.name} {seed} {number}", text=self.subject.text)
        return {**self._valid[chosen], name: content}

    def run(self, number: int, seed: int) -> Trial:
        """Damage, read, judge."""
        files = self.files(number, seed)
        try:
            with time_limit(LONGEST_S):
                said = self._read(files)
        except OstiaryError as error:
            return _refused(error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Trial("finding", described(error))
        if any(said == known for known in self._said):
            return Trial("without effect")
        if self.subject.sealed:
            return Trial("finding", "accepted: what was changed was read, and nothing was said")
        return Trial("read otherwise")

    def _read(self, files: Files) -> object:
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        for name, content in files.items():
            (self._place / name).write_bytes(content)
        return self.subject.read(self._place)


class TooLongError(BaseException):
    """Not an Exception, so that no reader takes it for a damaged file."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TooLongError`` after so much processor time; between two steps of Python only."""

    def stop(*_: object) -> None:
        raise TooLongError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def described(error: BaseException) -> str:
    """Kind, place in this package and beginning of the message: the same for the same fault."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}ostiary{os.sep}" in frame.filename
    ]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
    return f"{type(error).__name__} at {where}: {str(error)[:120]!r}"


def _refused(error: OstiaryError) -> Trial:
    sentence = str(error)
    if not sentence.isprintable() or len(sentence) > LONGEST_SENTENCE:
        return Trial("finding", f"no sentence to be shown, {described(error)} ({len(sentence)} characters)")
    return Trial("refused")
