"""A guided test at home: hold up a print, a phone, a tablet, and see what the door makes of it.

A state machine without a screen or a camera of its own: it says what to present next, judges the frames that it
is handed, and reports what so few trials can show. Ten prints that were all refused are no proof; the report says
what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError
from ostiary.metrics.intervals import clopper_pearson, trials_needed, upper_limit

Frame = NDArray[np.uint8]
"""RGB uint8 (H, W, 3)."""

BONA_FIDE = ""
"""Stands for a species where the person himself is presented."""

LEVEL = 0.95
JUDGED = frozenset(
    {"bona_fide", "accepted", "presentation_attack", "another_person", "unknown", "frames_disagree"}
)
"""Reasons that come from a measurement. A refusal for any other (no face, too dark, ...) withstood nothing."""

BARS = (0.15, 0.07)
"""Rates that others ask for, per species; the report says how many trials without an error would show each."""


class Answer(Protocol):
    """What a trial came to: a ``gate.decision.Decision`` or an ``ostiary.liveness.ImageCheck``."""

    @property
    def accepted(self) -> bool:
        """Whether the door opened."""

    @property
    def reason(self) -> str:
        """Why, or why not."""


Judge = Callable[[Iterator[Frame]], Answer]
"""Frames of one trial -> the door's answer; it may stop before the frames do."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """Something to hold up: a species (``BONA_FIDE`` for oneself), what it is called, and what to do."""

    species: str
    name: str
    instruction: str


PLAN: tuple[Presentation, ...] = (
    Presentation(BONA_FIDE, "yourself", "Look into the camera as you would at the door."),
    Presentation(
        "print_flat", "print", "Hold a printed photo of your face before the camera, so that it fills it."
    ),
    Presentation("replay_phone", "phone", "Show a photo or video of your face on a phone, bright and near."),
    Presentation(
        "replay_tablet", "tablet", "Show a photo or video of your face on a tablet or a computer screen."
    ),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to present next: trial ``trial`` of ``of``, both counted from 1."""

    presentation: Presentation
    trial: int
    of: int

    def __str__(self) -> str:
        return f"[{self.presentation.name} {self.trial}/{self.of}] {self.presentation.instruction}"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial; ``answered`` is false where nothing could be judged, so that it counts for neither side."""

    species: str
    accepted: bool
    answered: bool
    reason: str


class AttackTest:
    """The test as a state machine: ask ``prompt``, let the user follow it, and hand the frames to ``present``.

    Args:
        judge: the door.
        trials: of each presentation.
        plan: what is presented, in this order.
        judged: reasons of the door that come from a measurement; a trial with another has no answer.

    Raises:
        ConfigurationError: there is nothing to present, a species twice, or no trial.

    """

    def __init__(
        self,
        judge: Judge,
        *,
        trials: int = 10,
        plan: Sequence[Presentation] = PLAN,
        judged: Collection[str] = JUDGED,
    ) -> None:
        species = [presentation.species for presentation in plan]
        if trials < 1 or not plan or len(set(species)) < len(species):
            raise ConfigurationError(
                "An attack test needs at least one trial of at least one presentation, each species once."
            )
        self._judge = judge
        self._trials = trials
        self._plan = tuple(plan)
        self._judged = judged
        self._skipped: set[str] = set()
        self._results: list[TrialResult] = []

    @property
    def prompt(self) -> Prompt | None:
        """What to present next; None when all is done."""
        done = Counter(result.species for result in self._results)
        for presentation in self._plan:
            made = done[presentation.species]
            if presentation.species not in self._skipped and made < self._trials:
                return Prompt(presentation, made + 1, self._trials)
        return None

    @property
    def results(self) -> tuple[TrialResult, ...]:
        """The trials so far."""
        return tuple(self._results)

    def present(self, frames: Iterator[Frame]) -> TrialResult:
        """Judge what is before the camera now, as the trial that ``prompt`` named.

        Raises:
            ConfigurationError: the test is over.
            InputError: the camera gave no frame; the trial is not counted.

        """
        prompt = self.prompt
        if prompt is None:
            raise ConfigurationError("The attack test is over; start another one for more trials.")
        seen = _Watched(frames)
        answer = self._judge(seen)
        if not seen.count:
            raise InputError("The camera gave no frame; check that it is plugged in and used by nobody else.")
        answered = answer.accepted or answer.reason in self._judged
        result = TrialResult(prompt.presentation.species, answer.accepted, answered, answer.reason)
        self._results.append(result)
        return result

    def take_back(self) -> None:
        """Forget the last trial, as where the picture slipped."""
        if self._results:
            self._results.pop()

    def skip(self) -> None:
        """Leave out what is left of the present species, for want of a tablet, say."""
        if self.prompt is not None:
            self._skipped.add(self.prompt.presentation.species)

    def report(self, header: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The report as plain values; see ``attack_report``."""
        return attack_report(self._results, self._plan, header)


@dataclass(frozen=True, slots=True)
class AnyFrame:
    """A door that looks at single frames and opens at the first that passes.

    ``check`` judges one frame; at most ``most`` frames are looked at, after ``settle`` that are passed over, since
    what a camera had in store shows the moment before.
    """

    check: Callable[[Frame], Answer]
    most: int = 15
    settle: int = 5

    def __call__(self, frames: Iterator[Frame]) -> Answer:
        """The answer that opened, else the last one that judged a face, else the last.

        Raises:
            InputError: there was no frame.

        """
        last: Answer | None = None
        for frame in islice(frames, self.settle, self.settle + self.most):
            answer = self.check(frame)
            if answer.accepted:
                return answer
            if last is None or answer.reason in JUDGED or last.reason not in JUDGED:
                last = answer
        if last is None:
            raise InputError("The camera gave no frame; check that it is plugged in and used by nobody else.")
        return last


def attack_report(
    results: Sequence[TrialResult], plan: Sequence[Presentation] = PLAN, header: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Counts, rates, limits and sentences of a test: ``header``, ``notes``, ``bona_fide``, ``species``.

    Trials without an answer are counted apart: what the door never saw it did not withstand. Limits take trials as
    independent, which those with one print of one person are not.
    """
    names = {presentation.species: presentation.name for presentation in plan}
    attacks = {species: _counted(results, species) for species in names if species != BONA_FIDE}
    species = {name: _attack(found, names[name]) for name, found in attacks.items() if found["trials"]}
    genuine = _counted(results, BONA_FIDE)
    return {
        "format": "1",
        "header": {**(header or {}), "n": len(results), "level": LEVEL},
        "notes": list(_notes(genuine, attacks)),
        "bona_fide": _bona_fide(genuine) if genuine["trials"] else None,
        "species": species,
    }


def sentence(errors: int, trials: int, what: str) -> str:
    """What a count of accepted attacks allows to say, with the one-sided upper 95 % limit."""
    limit = upper_limit(errors, trials, level=LEVEL)
    if limit >= 1:
        return f"{errors} of {trials} {what} were accepted: there is no limit to how often they are."
    return f"{errors} of {trials} {what} were accepted: at most {100 * limit:.1f} % are, with 95 % confidence."


class _Watched(Iterator[Frame]):
    """Counts the frames that were taken."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.count = 0

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self.count += 1
        return frame


def _counted(results: Sequence[TrialResult], species: str) -> dict[str, Any]:
    mine = [result for result in results if result.species == species]
    return {
        "trials": sum(result.answered for result in mine),
        "accepted": sum(result.accepted for result in mine),
        "no_answer": sum(not result.answered for result in mine),
        "reasons": dict(sorted(Counter(result.reason for result in mine).items())),
    }


def _rate(errors: int, trials: int) -> dict[str, Any]:
    interval = clopper_pearson(errors, trials, level=LEVEL)
    return {
        "rate": errors / trials,
        "interval": [interval.low, interval.high],
        "interval_method": interval.method,
        "upper_limit": upper_limit(errors, trials, level=LEVEL),
    }


def _attack(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    trials, accepted = found["trials"], found["accepted"]
    what = f"attempts with a {name}"
    return {**found, **_rate(accepted, trials), "sentence": sentence(accepted, trials, what)}


def _bona_fide(found: Mapping[str, Any]) -> dict[str, Any]:
    return {**found, **_rate(found["trials"] - found["accepted"], found["trials"])}


def _notes(genuine: Mapping[str, Any], attacks: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "A trial tells of this instrument, this person, this light and this camera. The limits take trials as "
        "independent; ten trials with one print are less than that."
    )
    if not genuine["trials"]:
        yield "Nobody was shown alive, so that a door that refuses everything would have passed this test."
    elif not genuine["accepted"]:
        yield "The door refused everybody, the living person too: its refusals of attacks mean nothing."
    silent = {name: found["no_answer"] for name, found in attacks.items() if found["no_answer"]}
    if silent:
        shown = ", ".join(f"{name} {count}" for name, count in silent.items())
        yield f"Without an answer, and in no rate: {shown}. Hold the attack so that a face is found."
    for bar in BARS:
        yield (
            f"To show that a species passes in at most {100 * bar:g} % of attempts takes "
            f"{trials_needed(bar).without_error} of them without one that passes."
        )
