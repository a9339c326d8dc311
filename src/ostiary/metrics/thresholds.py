"""Choosing the operating point on development data, and refusing what the data cannot carry.

The rule of the house: threshold from development people, frozen with its target, counts and data, and
applied once to test people. Never the nearest point of a curve nor an interpolated one, since either
may lie above the target.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.intervals import errors_allowed, supports, upper_limit
from ostiary.metrics.trials import Trials
from ostiary.runtime.clip import log_odds, probability
from ostiary.runtime.liveness_record import Threshold

Rule = Literal["apcer", "apcer_point", "eer", "centres"]


def choose_threshold(
    trials: Trials, target: float = 0.05, *, data: str, rule: Rule = "apcer", level: float = 0.95
) -> Threshold:
    """The threshold of development ``trials``, as it is stored with the weights.

    Rules:
        apcer: smallest threshold at which the one-sided upper Clopper-Pearson limit of every species'
            APCER is <= ``target``. Where that would refuse every bona fide presentation it falls back to
            ``apcer_point``, and says so in the record's warning.
        apcer_point: smallest threshold at which every species' measured APCER is <= ``target``.
        eer: where pooled APCER and BPCER are closest; ``target`` is not used, and the record's ``rate``
            is the error found there. For data too scarce for a rate.
        centres: midway, in log-odds, between the median of the bona fide presentations and that of the strongest
            species; ``target`` is not used, and the record's ``rate`` is the larger of pooled APCER and BPCER
            there. For a handful of people: the few hardest pictures of theirs, at which ``eer`` looks, say less
            of other people than the middle of all does (results/site_training.md).

    The trials of a person count as independent here, as in the rules of 3 and 30; the warning names
    the number of people where it is known, since it bounds how far the promise carries.

    Args:
        trials: the development presentations, bona fide and attacks.
        target: the APCER of the worst species that is wanted, a share in (0, 1).
        data: name of the data, stored in the record.
        rule: see above.
        level: confidence of the upper limit.

    Raises:
        RateError: a class is missing, or a species has fewer than 3/target attacks.

    """
    given = trials.select(trials.answered)
    counts = {name: int(given.of(name).sum()) for name in given.attack_species}
    if not counts or not given.bona_fide.any():
        missing = "bona fide presentation" if counts else "attack"
        raise RateError(f"No {missing} of {data} has a score, so no threshold can be chosen on it.")
    remarks: list[str] = []
    if rule == "eer":
        rate, value = curves.equal_error(given)
        name = "eer"
    elif rule == "centres":
        rate, value = _between_centres(given)
        name = "centres"
    else:
        rate, name = target, f"apcer_max<={target:g}"
        remarks += _support(target, counts)
        value = _within_target(given, target, counts, rule, level, remarks)
    return Threshold(
        value=_attainable(value, data),
        target=name,
        rate=rate,
        n_bona_fide=int(given.bona_fide.sum()),
        n_attack=sum(counts.values()),
        data=data,
        upper_limit=_upper_limit_of_worst(given, value, counts, level),
        warning=" ".join(remarks + _people_remark(trials)) or None,
    )


def _support(target: float, counts: dict[str, int]) -> list[str]:
    """Remarks on species that carry the target only barely."""
    found = [supports(target, count, f"attacks of species {name}") for name, count in counts.items()]
    return [remark for remark in found if remark]


def _within_target(
    trials: Trials, target: float, counts: dict[str, int], rule: Rule, level: float, remarks: list[str]
) -> float:
    """The threshold by upper limits or by measured rates; adds to ``remarks`` what it had to give up."""
    _, point = curves.bpcer_at_apcer(trials, target)
    if rule == "apcer_point":
        remarks.append("The measured rates meet the target, their upper limits may not.")
        return point
    allowed = {name: errors_allowed(target, count, level=level) for name, count in counts.items()}
    careful = curves.threshold_within(trials, allowed)
    if (trials.liveness[trials.bona_fide] >= careful).any():
        return careful
    remarks.append(
        "Holding the upper limits to the target would refuse every bona fide presentation; only the measured "
        "rates meet it."
    )
    return point


def _between_centres(trials: Trials) -> tuple[float, float]:
    """The rate and the threshold of the rule ``centres``."""
    genuine, attacks = trials.liveness[trials.bona_fide], trials.liveness[~trials.bona_fide]
    strongest = max(float(np.median(trials.liveness[trials.of(name)])) for name in trials.attack_species)
    value = probability((log_odds(float(np.median(genuine))) + log_odds(strongest)) / 2)
    return max(float((attacks >= value).mean()), float((genuine < value).mean())), value


def _attainable(value: float, data: str) -> float:
    if value > 1:
        raise RateError(
            f"Attacks of {data} score as high as a liveness can be, so that no threshold meets the target; "
            "ask for a higher rate, or train a better model."
        )
    return value


def _upper_limit_of_worst(trials: Trials, value: float, counts: dict[str, int], level: float) -> float:
    accepted = trials.liveness >= value
    return max(
        upper_limit(int((accepted & trials.of(name)).sum()), count, level=level) for name, count in counts.items()
    )


def _people_remark(trials: Trials) -> list[str]:
    if trials.people is None:
        return []
    return [f"The trials come from {trials.people} people."]
