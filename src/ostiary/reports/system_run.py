"""Run a list of attempts through a door: its own decision code, not a copy of it, says yes or no.

A door is anything that enrols and decides, the gate above all. People whose enrolment fails are counted and not
tried (failure to enrol); a picture that cannot be read is an attempt that the door does not open to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.data.pictures import PictureStore
from ostiary.data.table import one_of, read_rows, write_rows
from ostiary.errors import DataIndexError, ImageError
from ostiary.gate.outcomes import Outcome, Stage
from ostiary.metrics.system import KINDS, Transactions
from ostiary.reports.scoring import UNREADABLE
from ostiary.reports.system_trials import IMPOSTORS, Attempt, Person, TrialList

COLUMNS = ("kind", "enrolled", "presented", "dataset", "image", "species", "accepted", "answered", "reason")

Picture = NDArray[np.uint8]
"""RGB uint8 (H, W, 3)."""


class DoorAnswer(Protocol):
    """What a door says; ``ostiary.gate.decision.Decision`` is one."""

    @property
    def accepted(self) -> bool:
        """Whether it opened."""

    @property
    def reason(self) -> str:
        """Why, or why not."""

    @property
    def outcomes(self) -> Mapping[Stage, Outcome]:
        """What became of each stage that was begun."""


class Door(Protocol):
    """What is evaluated."""

    def enrol(self, person: str, pictures: Sequence[Picture]) -> str | None:
        """Remember a person by these pictures; None if it succeeded, else the reason why it did not."""

    def decide(self, person: str, picture: Picture) -> DoorAnswer:
        """Whether to open to the face in this picture, who says to be ``person``."""


class Transaction(NamedTuple):
    """An attempt and what the door made of it."""

    attempt: Attempt
    accepted: bool
    answered: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """All transactions of a list, and whom the door could not enrol, with the reason."""

    transactions: tuple[Transaction, ...]
    enrolled: int
    failed: Mapping[Person, str]

    def columns(self, dataset: str | None = None) -> Transactions:
        """The transactions of one data set, or of all, as the metrics take them."""
        return columns([t for t in self.transactions if dataset is None or t.attempt.enrolled.dataset == dataset])

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, sorted."""
        return sorted({t.attempt.enrolled.dataset for t in self.transactions})


def run_trials(
    trials: TrialList,
    pictures: PictureStore,
    door: Door,
    *,
    impostors: int = IMPOSTORS,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Enrol everybody, then make every attempt.

    Args:
        trials: whom to enrol and what to present.
        pictures: where they lie.
        door: what decides.
        impostors: pictures of each other person that are tried against an enrolment.
        progress: called with (attempts done, attempts in all).

    Raises:
        DataIndexError: pictures are missing, or nobody could be enrolled.

    """
    missing = [image for image in trials.images if image not in pictures]
    if missing:
        raise DataIndexError(
            f"{len(missing)} of the {len(trials.images)} pictures of the list are not in {pictures}, the first is "
            f"{missing[0]!r}; check that the list and the pictures belong together."
        )
    failed: dict[Person, str] = {}
    for person, images in trials.enrolment.items():
        reason = _enrol(door, person, images, pictures)
        if reason is not None:
            failed[person] = reason
    if len(failed) == len(trials.enrolment):
        reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(failed.values()).most_common())
        raise DataIndexError(f"Nobody of the list could be enrolled ({reasons}); take pictures with larger faces.")
    attempts = [attempt for attempt in trials.attempts(impostors) if attempt.enrolled not in failed]
    done = []
    for number, attempt in enumerate(attempts, start=1):
        done.append(_transaction(door, attempt, pictures))
        if progress:
            progress(number, len(attempts))
    return Run(tuple(done), len(trials.enrolment), failed)


def columns(transactions: Sequence[Transaction]) -> Transactions:
    """Transactions as the metrics take them."""
    attempts = [transaction.attempt for transaction in transactions]
    return Transactions.from_columns(
        [transaction.accepted for transaction in transactions],
        [attempt.kind for attempt in attempts],
        [str(attempt.enrolled) for attempt in attempts],
        [str(attempt.presented) for attempt in attempts],
        species=[attempt.species for attempt in attempts],
        answered=[transaction.answered for transaction in transactions],
    )


def write_transactions(transactions: Sequence[Transaction], path: Path) -> None:
    """Write a CSV of :data:`COLUMNS`, from which anybody can compute the rates anew.

    Raises:
        DataIndexError: it cannot be written there.

    """
    rows = (
        (a.kind, a.enrolled.subject, a.presented.subject, a.enrolled.dataset, a.image, a.species,
         int(done.accepted), int(done.answered), done.reason)
        for done in transactions
        for a in (done.attempt,)
    )  # fmt: skip
    write_rows(path, COLUMNS, rows)


def read_transactions(path: Path) -> tuple[Transaction, ...]:
    """Read what ``write_transactions`` wrote.

    Raises:
        DataIndexError: names file and line, and what is wrong.

    """
    return read_rows(path, _transaction_row, COLUMNS, what="transactions")


def _enrol(door: Door, person: Person, images: Sequence[str], pictures: PictureStore) -> str | None:
    found = []
    for image in images:
        try:
            found.append(pictures.image(image))
        except ImageError:
            continue
    return door.enrol(str(person), found) if found else UNREADABLE


def _transaction(door: Door, attempt: Attempt, pictures: PictureStore) -> Transaction:
    try:
        picture = pictures.image(attempt.image)
    except ImageError:
        return Transaction(attempt, False, False, UNREADABLE)
    answer = door.decide(str(attempt.enrolled), picture)
    judged = {answer.outcomes.get("liveness"), answer.outcomes.get("matching")}
    return Transaction(attempt, answer.accepted, answer.accepted or "failed" in judged, answer.reason)


def _transaction_row(values: Mapping[str, str]) -> Transaction:
    kind = one_of("kind", values["kind"], KINDS)
    dataset = values["dataset"]
    enrolled, presented = (Person(dataset, values[name]) for name in ("enrolled", "presented"))
    accepted, answered = (one_of(name, values[name], ("0", "1")) == "1" for name in ("accepted", "answered"))
    attempt = Attempt(kind, enrolled, presented, values["image"], values["species"])
    return Transaction(attempt, accepted, answered, values["reason"])
