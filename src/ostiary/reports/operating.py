"""A threshold that holds a stated error rate, with all that was measured at it: the record that a door keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Literal, NamedTuple

from ostiary.errors import ConfigurationError, RateError
from ostiary.gate.calibration import Companion, Operating
from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.calibrating import Count, Side, hold, threshold_interval
from ostiary.metrics.identification import fmr_for
from ostiary.metrics.intervals import upper_limit
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.rates import Rate
from ostiary.metrics.trials import Trials
from ostiary.metrics.verification_measure import Measure, threshold_statistic
from ostiary.metrics.verification_threshold import choose_match_threshold
from ostiary.metrics.verification_trials import Comparisons

ErrorName = Literal["apcer", "bpcer", "fmr", "fnmr"]
LEVEL = 0.95

_OTHER: dict[ErrorName, ErrorName] = {"apcer": "bpcer", "bpcer": "apcer", "fmr": "fnmr", "fnmr": "fmr"}


class Target(NamedTuple):
    """An error rate that a threshold should hold; written ``apcer=0.05`` or ``fmr=1e-3``.

    ``fpir=0.01@500`` is the FMR at which 0.01 of strangers are taken for somebody among 500 people; ``asked`` then
    says so.
    """

    name: ErrorName
    rate: float
    asked: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.rate:g}" + (f" ({self.asked})" if self.asked else "")

    @property
    def measured(self) -> Literal["liveness", "similarity"]:
        """What the threshold is one of."""
        return "liveness" if self.name in ("apcer", "bpcer") else "similarity"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``NAME=RATE``, or ``fpir=RATE@PEOPLE``.

        Raises:
            ConfigurationError: another name, or a rate that is no share between 0 and 1.

        """
        name, _, value = text.partition("=")
        name = name.strip().lower()
        value, _, people = value.partition("@") if name == "fpir" else (value, "", "")
        try:
            rate = float(value)
            if name == "fpir":
                return cls("fmr", fmr_for(rate, int(people)), f"fpir={rate:g}@{int(people)}")
        except (ValueError, RateError):
            rate = float("nan")
        if name not in _OTHER or not 0 < rate < 1:
            raise ConfigurationError(
                f"The target {text!r} makes no sense; give {', '.join(_OTHER)} and a share between 0 and 1, "
                "such as apcer=0.05 or fmr=1e-3, or fpir and a number of people, such as fpir=0.01@500."
            )
        return cls(name, rate)


def liveness_operating(
    trials: Trials,
    target: Target,
    data: str,
    *,
    count: Count = "trials",
    draws: int = DRAWS,
    seed: int = 0,
) -> Operating:
    """The liveness from which a presentation is accepted, for an APCER or a BPCER.

    Raises:
        RateError: the trials cannot bear the rate, or a threshold that holds it would open to nobody or all.

    """
    side: Side = "attacks" if target.name == "apcer" else "bona_fide"
    names = {"": "bona fide presentations"}
    names |= {species: f"attacks of species {species}" for species in trials.attack_species}
    held = hold(trials, target.rate, side, names=names, count=count, level=LEVEL)
    genuine = trials.liveness[trials.bona_fide & trials.answered]
    if not len(genuine):
        raise RateError(f"No bona fide presentation of {data} has a score, so that nobody knows whom it refuses.")
    _check_use(held.value, float(genuine.max()), target, data)
    rates = pad_rates(trials, held.value, targets=(), draws=draws, seed=seed, level=LEVEL)
    of_target, of_other = (rates.apcer_max, rates.bpcer) if side == "attacks" else (rates.bpcer, rates.apcer_max)
    moved = threshold_interval(trials, held, side, draws=draws, seed=seed, level=LEVEL)
    assert of_target is not None, "hold refused a missing class"
    remarks = [*held.remarks, *_people_remark(trials.people, "trials")]
    if of_other is None:
        remarks.append("There was no attack, so that nothing is known of what the threshold lets through.")
    return _operating(held.value, target, of_target, of_other, data, moved, remarks)


def matching_operating(
    comparisons: Comparisons, target: Target, data: str, *, draws: int = DRAWS, seed: int = 0
) -> Operating:
    """The similarity from which two pictures match, for an FMR or an FNMR.

    Raises:
        RateError: the comparisons cannot bear the rate, or a threshold that holds it would match all or none.

    """
    if target.name == "fmr":
        chosen = choose_match_threshold(comparisons, target.rate, data=data, draws=draws, seed=seed, level=LEVEL)
        _check_use(chosen.record.value, float(comparisons.similarity[comparisons.same].max()), target, data)
        assert chosen.errors.fmr is not None, "the rule refused a missing class"
        remarks = [chosen.record.warning] if chosen.record.warning else []
        return _operating(
            chosen.record.value, target, chosen.errors.fmr, chosen.errors.fnmr, data, (chosen.low, chosen.high),
            remarks,
        )  # fmt: skip
    alike = comparisons.as_trials()
    mated = comparisons.same
    person = None if comparisons.people is None else comparisons.people[:, 0]
    trials = Trials(alike.liveness, alike.answered, mated, alike.species, person)
    held = hold(trials, target.rate, "bona_fide", names={"": "mated comparisons"}, level=LEVEL)
    _check_use(held.value, 1.0, target, data)
    statistic = threshold_statistic(comparisons, "chosen", held.value)
    measure = Measure.of(comparisons, [statistic], draws=draws, seed=seed, level=LEVEL)
    fmr, fnmr = measure.counted("fmr:chosen", ~mated), measure.counted("fnmr:chosen", mated)
    moved = threshold_interval(trials, held, "bona_fide", draws=draws, seed=seed, level=LEVEL)
    assert fnmr is not None, "hold refused a missing class"
    remarks = [*held.remarks, *_people_remark(comparisons.people_in(mated), "mated comparisons")]
    if fmr is None:
        remarks.append(
            "There was no non-mated comparison, so that nothing is known of whom the threshold lets in."
        )
    return _operating(held.value, target, fnmr, fmr, data, moved, remarks)


def _check_use(value: float, highest: float, target: Target, data: str) -> None:
    if value > highest:
        raise RateError(
            f"On {data} a threshold that holds {target} would refuse everybody; it takes more trials, a higher "
            "rate or a better model."
        )
    if value <= 0:
        raise RateError(
            f"On {data} a threshold that holds {target} would have to be 0, which accepts everything; ask for a "
            "higher rate, or use a better model."
        )


def _people_remark(people: int | None, what: str) -> list[str]:
    return [] if people is None else [f"The {what} are of {people} {'person' if people == 1 else 'people'}."]


def _operating(
    value: float,
    target: Target,
    rate: Rate,
    other: Rate | None,
    data: str,
    moved: tuple[float, float],
    remarks: Sequence[str],
) -> Operating:
    shown = rate.people_interval or rate.interval
    assert rate.errors is not None, "a rate of one class is a count over a count"
    return Operating(
        value=value,
        target=str(target),
        rate=rate.value,
        low=shown.low,
        high=shown.high,
        trials=rate.trials,
        people=rate.people,
        data=data,
        made=datetime.now(timezone.utc).replace(microsecond=0),
        value_low=moved[0],
        value_high=moved[1],
        upper_limit=upper_limit(rate.errors, rate.trials, level=LEVEL),
        other=None if other is None else _companion(_OTHER[target.name], other),
        warning=" ".join(remarks) or None,
    )


def _companion(name: ErrorName, rate: Rate) -> Companion:
    shown = rate.people_interval or rate.interval
    return Companion(
        name=name,
        rate=rate.value,
        low=shown.low,
        high=shown.high,
        errors=rate.errors or 0,
        trials=rate.trials,
        people=rate.people,
    )
