"""Calibration from a few minutes before one's own camera, and no more of a promise than that can bear.

Thousands of frames of one person are one trial: they show how this person fares before this camera, not how others
will. So the threshold that came with the weights is only ever raised, as far as the people of the site still pass:
that makes no attack easier. To lower it takes attacks in numbers, which is ``ostiary calibrate``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Label, Sample
from ostiary.errors import ConfigurationError, RateError
from ostiary.gate.calibration import Calibration, Companion, ModelHashes, Operating
from ostiary.liveness import ImageCheck
from ostiary.metrics.bootstrap import interval_over_units
from ostiary.metrics.intervals import trials_needed, upper_limit
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.trials import Trials
from ostiary.reports.scores import Scores, ScoreTable
from ostiary.reports.scoring import NO_FACE

RATE = 0.05
"""Share of the frames of each person of the site that may be refused."""


class ChecksFrames(Protocol):
    """What judges a frame; ``ostiary.Liveness`` is one."""

    def check(self, image: NDArray[np.uint8]) -> ImageCheck:
        """RGB uint8 (H, W, 3) -> every face with its liveness."""


def site_scores(
    frames: Iterable[NDArray[np.uint8]],
    liveness: ChecksFrames,
    *,
    subject: str,
    capture: str,
    label: Label = "bona_fide",
    species: str = "",
    data: str = "site",
) -> ScoreTable:
    """Score one recording: the largest face of each frame. No frame is kept.

    Args:
        frames: RGB uint8 (H, W, 3), of one person or one attack.
        liveness: judges them.
        subject: who is seen, or whom the attack shows.
        capture: name of the recording, unique in ``data``.
        label: ``bona_fide`` or ``attack``.
        species: of an attack.
        data: name of the site.

    Raises:
        ConfigurationError: there is no frame, or a cascade judges, whose answers are of two networks.

    """
    rows: dict[str, list[tuple[Sample, float, str]]] = {}
    for number, frame in enumerate(frames):
        check = liveness.check(frame)
        if ">" in check.configuration:
            raise ConfigurationError(
                "A cascade has two thresholds of its own, and none can be chosen for it here; calibrate one "
                "configuration."
            )
        face = check.faces[0] if check.faces else None
        known = face is not None and face.liveness is not None
        value = face.liveness if face is not None and face.liveness is not None else float("nan")
        reason = "" if known else face.reason if face is not None else check.reason or NO_FACE
        sample = Sample(f"{capture}/{number:05d}", label, species, subject, "development", data, capture)
        rows.setdefault(check.configuration, []).append((sample, value, reason))
    if not rows:
        raise ConfigurationError(f"There is no frame in {capture}; check the camera or the file.")
    return ScoreTable(
        {
            word: Scores(
                tuple(sample for sample, _, _ in found),
                np.array([value for _, value, _ in found], np.float64),
                tuple(reason for _, _, reason in found),
            )
            for word, found in rows.items()
        }
    )


def site_calibration(
    scores: Scores, stored: Operating, word: str, model: ModelHashes, *, rate: float = RATE
) -> Calibration:
    """Raise the ``stored`` threshold of a configuration as far as the people of the site still pass.

    Args:
        scores: of the site's recordings, from ``site_scores``; attacks among them are measured only.
        stored: the threshold in use so far.
        word: the configuration.
        model: of the liveness model.
        rate: share of each person's frames that may be refused.

    Raises:
        RateError: no bona fide frame has an answer.
        ConfigurationError: the person of a bona fide frame is unnamed.

    """
    by_person = _by_person(scores)
    people = len(by_person)
    passes = min(np.sort(found)[int(rate * len(found) + _SLACK)] for found in by_person.values())
    value = max(stored.value, float(passes))
    refused = float(np.concatenate([found < value for found in by_person.values()]).mean())
    interval = interval_over_units(refused, people, over="people")
    attacks = _attacks(scores, value)
    operating = Operating(
        value=value,
        target=f"site:bpcer={rate:g}, at least {stored.target}",
        rate=refused,
        low=interval.low,
        high=interval.high,
        trials=people,
        people=people,
        data=scores.samples[0].dataset,
        made=datetime.now(timezone.utc).replace(microsecond=0),
        upper_limit=upper_limit(refused * people, people),
        other=attacks,
        warning=" ".join(_warnings(scores, stored, value, refused, people, attacks, rate)),
    )
    return Calibration.of_liveness({word: operating}, model)


def _by_person(scores: Scores) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[float]] = {}
    for sample, value, reason in zip(scores.samples, scores.liveness, scores.reasons, strict=True):
        if sample.label == "bona_fide":
            if not sample.subject:
                raise ConfigurationError("A bona fide frame has no subject; say who stands before the camera.")
            if not reason:
                found.setdefault(sample.subject, []).append(float(value))
    if not found:
        raise RateError(
            "No frame showed a face that could be judged, so that there is nothing to calibrate; come closer, or "
            "look at what `ostiary check` says of a frame."
        )
    return {person: np.array(values, np.float64) for person, values in found.items()}


def _attacks(scores: Scores, value: float) -> Companion | None:
    """APCER of the worst species; a recording is one trial, and is accepted if any of its frames is."""
    answered = [
        (sample.species, sample.capture, float(liveness))
        for sample, liveness, reason in zip(scores.samples, scores.liveness, scores.reasons, strict=True)
        if sample.label == "attack" and not reason
    ]
    recordings = [
        (species, max(liveness for _, _, liveness in found))
        for (species, _), found in groupby(sorted(answered), key=lambda row: row[:2])
    ]
    if not recordings:
        return None
    best = [liveness for _, liveness in recordings]
    trials = Trials.from_columns(best, [False] * len(best), [species for species, _ in recordings])
    worst = pad_rates(trials, value, targets=()).apcer_max
    assert worst is not None, "there is an attack with an answer"
    return Companion(
        name="apcer",
        rate=worst.value,
        low=worst.interval.low,
        high=worst.interval.high,
        errors=worst.errors or 0,
        trials=worst.trials,
    )


def _warnings(
    scores: Scores,
    stored: Operating,
    value: float,
    refused: float,
    people: int,
    attacks: Companion | None,
    rate: float,
) -> Iterable[str]:
    answers = sum(not reason for reason in scores.reasons)
    who = "one person, which is one trial" if people == 1 else f"{people} people, which are {people} trials"
    yield (
        f"Chosen on {answers:,} frames of {who}, however many frames: it holds for them before this camera. To "
        f"promise others a BPCER of {rate:g} takes {trials_needed(rate).rule_of_3:,} people."
    )
    silent = len(scores.samples) - answers
    if silent:
        yield f"{silent:,} further frames had no answer, which a door refuses."
    if value == stored.value and refused > rate:
        yield (
            f"The stored threshold refuses {100 * refused:.1f} % of these people's frames and was left as it is: "
            "to lower it takes attacks before this camera, in the numbers that `ostiary calibrate` names."
        )
    if attacks is not None:
        yield (
            f"{attacks.errors} of {attacks.trials} recorded attacks of the worst species had a frame that passes; "
            "attacks with one instrument tell of that instrument."
        )


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
