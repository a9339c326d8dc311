"""Who may be recognised now: the vault's people whose templates the matcher in use has made.

Templates of another model, or of another crop, are never compared; whoever has no others is asked to enrol again.
Without a claim everybody is compared, and opening everybody takes time: they are kept for some seconds. A person
is accepted by what the vault says at that moment, so that nobody passes who was deleted or has expired since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ExpiredError, NotEnrolledError, OstiaryError, VaultError
from ostiary.gate.enrolments import Enrolments
from ostiary.gate.matching import Matcher, People, most_alike
from ostiary.gate.outcomes import Outcome
from ostiary.gate.vault import Vault

Absence = Literal["not_enrolled", "enrolment_expired", "enrolled_with_another_model"]
"""Why there is nobody to compare with."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidates:
    """People whom a face may be, ready to be compared; ``kept`` if the vault may have changed since."""

    handles: tuple[str, ...]
    people: People = field(repr=False)
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The most similar person, None where nobody could be compared."""

    handle: str | None
    similarity: float | None = field(repr=False)
    outcome: Outcome


class Gallery:
    """The people of a vault, for one matcher. Safe to share between threads.

    Args:
        vault: who is enrolled.
        matcher: whose templates count.
        keep_s: how long everybody is kept, in seconds.
        clock: seconds.

    """

    def __init__(self, vault: Vault, matcher: Matcher, keep_s: float, clock: Callable[[], float]) -> None:
        self._vault, self._matcher, self._keep_s, self._clock = vault, matcher, keep_s, clock
        self._kept: tuple[float, Candidates] | None = None
        self._lock = Lock()

    def one(self, handle: str) -> Candidates | Absence:
        """One person, as the vault has it now.

        Raises:
            VaultError: the vault or this person's rows do not open, or a template is damaged.

        """
        try:
            own = self._own(self._vault.open(handle))
        except NotEnrolledError:
            return "not_enrolled"
        except ExpiredError:
            return "enrolment_expired"
        return Candidates((handle,), self._matcher.people([own])) if own else "enrolled_with_another_model"

    def everybody(self) -> Candidates | Absence:
        """Everybody, perhaps as kept; whoever's rows or templates do not open is left out, and the log says so.

        Raises:
            VaultError: the vault does not open, or nobody's rows do.

        """
        with self._lock:
            now = self._clock()
            if self._kept is not None and 0 <= now - self._kept[0] < self._keep_s:
                return self._kept[1]
            found = self._opened()
            self._kept = (now, found) if isinstance(found, Candidates) else None
            return found

    def others(self, handle: str) -> Candidates | Absence:
        """Everybody else, as the vault has them now. Raises as :meth:`everybody`."""
        return self._opened(but=handle)

    def forget(self) -> None:
        """Open everybody anew the next time."""
        with self._lock:
            self._kept = None

    def match(self, probe: NDArray[np.generic], candidates: Candidates) -> Match:
        """Which candidate it is. Whoever matches by what was kept is looked up in the vault once more.

        Raises:
            VaultError: the vault does not open.

        """
        first = _match(probe, candidates)
        if not candidates.kept or first.outcome != "passed" or first.handle is None:
            return first
        present = self.one(first.handle)
        if isinstance(present, Candidates) and (again := _match(probe, present)).outcome == "passed":
            return again
        self.forget()  # that person was deleted, has expired or was enrolled anew: ask who there is now
        anew = self.everybody()
        return _match(probe, anew) if isinstance(anew, Candidates) else Match(None, None, "failed")

    def _opened(self, but: str | None = None) -> Candidates | Absence:
        opened = self._vault.open_all()
        for problem in opened.problems:
            log.warning("%s", problem)
        if opened.problems and not opened.people:
            raise VaultError(opened.problems[0])
        fitting = [(one.user, own) for one in opened.people if one.user != but and (own := self._own(one))]
        if not fitting:
            return "enrolled_with_another_model" if opened.people else "not_enrolled"
        try:
            return self._candidates(fitting)
        except OstiaryError:
            whole = [one for one in fitting if self._is_whole(*one)]
            if not whole:
                raise
            return self._candidates(whole)

    def _candidates(self, people: Sequence[tuple[str, list[bytes]]]) -> Candidates:
        handles, templates = zip(*people, strict=True)
        return Candidates(handles, self._matcher.people(templates), kept=True)

    def _is_whole(self, handle: str, templates: list[bytes]) -> bool:
        try:
            self._matcher.people([templates])
        except OstiaryError as error:
            log.warning("%r is left out: %s", handle, error)
            return False
        return True

    def _own(self, enrolled: Enrolments) -> list[bytes]:
        """The templates of a person that the matcher has made."""
        asked = self._matcher.kind, self._matcher.model, self._matcher.preprocess_hash
        return [one.template for one in enrolled.templates if (one.kind, one.model, one.preprocess_hash) == asked]


def _match(probe: NDArray[np.generic], candidates: Candidates) -> Match:
    found = most_alike(candidates.people.compare(probe))
    handle = None if found.person is None else candidates.handles[found.person]
    return Match(handle, found.similarity, found.outcome)
