"""Error rates of the whole door: what a user, a stranger and an attacker meet, liveness and matching together.

A transaction is one attempt against one enrolled person, and the door's answer is yes or no. Rates are over all
transactions: where nothing could be measured the door did not open, and such answers are also counted apart.
IAPAR is counted, never computed as APCER times a match rate: the two scores go together, since both like a sharp,
frontal picture.

Names and formulas: ISO/IEC 19795-1 (FRR, FAR) and ISO/IEC 30107-3:2023 (IAPAR, RIAPAR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostiary.errors import RateError, ScoreFileError
from ostiary.metrics.bootstrap import DRAWS, FEW_PEOPLE, Statistic, divide, interval_of_draws, interval_over_units
from ostiary.metrics.rates import Interval, Rate
from ostiary.metrics.verification_measure import Measure
from ostiary.metrics.verification_trials import Comparisons

Kind = Literal["mated", "non_mated", "attack"]
"""mated: the enrolled person; non_mated: somebody else, without an effort; attack: what shows the enrolled."""

KINDS: tuple[Kind, ...] = ("mated", "non_mated", "attack")


@dataclass(frozen=True, slots=True)
class Transactions:
    """N attempts; all arrays have shape (N,).

    ``answered`` is false where the door refused because something could not be measured. ``species`` is "" but
    for attacks. ``comparisons`` holds who stood before whose enrolment: an attack counts for the person whom it
    shows, with that person's weight in a bootstrap; an attempt of somebody else with the weights of both.
    """

    accepted: NDArray[np.bool_]
    answered: NDArray[np.bool_]
    kind: NDArray[np.str_]
    species: NDArray[np.str_]
    comparisons: Comparisons

    @classmethod
    def from_columns(
        cls,
        accepted: ArrayLike,
        kind: Sequence[Kind],
        enrolled: Sequence[str],
        presented: Sequence[str],
        *,
        species: Sequence[str] | None = None,
        answered: ArrayLike | None = None,
    ) -> Transactions:
        """Build from columns of equal length.

        Args:
            accepted: whether the door opened.
            kind: of each attempt.
            enrolled: whose enrolment it was against; "" if unknown, which makes all people unknown.
            presented: who stood there, or whom the attack shows.
            species: of attacks; one without is "unspecified".
            answered: whether everything could be measured; all, if left out.

        Raises:
            ScoreFileError: the lengths differ, people contradict the kinds, an unknown kind, or a door that
                opened without an answer.

        """
        opened = np.asarray(accepted, bool)
        measured = np.ones(len(opened), bool) if answered is None else np.asarray(answered, bool)
        names = [""] * len(opened) if species is None else list(species)
        if {len(column) for column in (measured, kind, enrolled, presented, names)} != {len(opened)}:
            raise ScoreFileError("The columns of the transactions differ in length; give one value an attempt.")
        unknown = sorted(set(kind) - set(KINDS))
        if unknown:
            raise ScoreFileError(f"There is no kind of transaction {unknown[0]!r}; choose of {', '.join(KINDS)}.")
        if (opened & ~measured).any():
            raise ScoreFileError(
                "A door is said to have opened though something was not measured; correct the list, or the door."
            )
        kinds = np.array(kind, np.str_)
        attack = kinds == "attack"
        found = np.array(names, np.str_)
        found = np.where(attack, np.where(found == "", "unspecified", found), "").astype(np.str_)
        people = list(zip(enrolled, presented, strict=True))
        comparisons = Comparisons.from_columns(opened.astype(np.float64), kinds != "non_mated", None, people)
        return cls(opened, measured, kinds, found, comparisons)

    def __len__(self) -> int:
        return len(self.accepted)

    @property
    def attack_species(self) -> list[str]:
        """The attack species, sorted by name."""
        return sorted({str(name) for name in self.species[self.kind == "attack"]})

    def of(self, kind: Kind, species: str | None = None) -> NDArray[np.bool_]:
        """Mask (N,) of the attempts of one kind, and of one species where it is named."""
        members = self.kind == kind
        return np.asarray(members if species is None else members & (self.species == species), bool)


@dataclass(frozen=True, slots=True)
class SystemRates:
    """All rates of one door on one list of transactions; None where there are none of the kind.

    ``frr``: attempts of the enrolled that were refused. ``far``: attempts of others that were accepted. ``iapar``:
    attacks that were accepted, by species. ``riapar``: IAPAR + FRR, by species; it lies in [0, 2]. The maxima are
    those of ``worst_species``. ``no_answer``: by kind, the share in which something could not be measured.
    """

    n_mated: int
    n_non_mated: int
    n_species: dict[str, int]
    people: int | None
    frr: Rate | None
    far: Rate | None
    iapar: dict[str, Rate]
    iapar_max: Rate | None
    worst_species: str | None
    riapar: dict[str, Rate]
    riapar_max: Rate | None
    no_answer: dict[Kind, Rate]


def system_rates(
    transactions: Transactions, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> SystemRates:
    """Every rate of the transactions.

    Intervals resample people (``bootstrap.py``); where no draw differs, as without any error, each person counts
    as one trial. The interval of a maximum is that of the maximum in each draw. That of RIAPAR is the
    bootstrap's, or where one of its two parts has none, the sum of the two parts' limits, each at half the risk.

    Args:
        transactions: attempts with the door's answers.
        draws: bootstrap draws.
        seed: of the bootstrap.
        level: coverage of the intervals.

    Raises:
        RateError: there is no transaction.

    """
    if not len(transactions):
        raise RateError("There is no transaction, so that there is no rate; give a list with attempts.")
    species = transactions.attack_species
    comparisons = transactions.comparisons
    measure = Measure.of(comparisons, [_statistic(transactions)], draws=draws, seed=seed, level=level)
    frr = measure.counted("frr", transactions.of("mated"))
    iapar = {name: rate for name in species if (rate := _iapar(measure, transactions, name))}
    worst = max(iapar, key=lambda name: (iapar[name].value, -iapar[name].trials), default=None)
    riapar = {name: _riapar(f"riapar:{name}", frr, rate, measure) for name, rate in iapar.items() if frr}
    at_worst = None if worst is None else measure.counted("iapar_max", transactions.of("attack", worst))
    silent = {
        kind: rate
        for kind in KINDS
        if (rate := measure.counted(f"no_answer:{kind}", transactions.of(kind))) is not None
    }
    return SystemRates(
        n_mated=int(transactions.of("mated").sum()),
        n_non_mated=int(transactions.of("non_mated").sum()),
        n_species={name: int(transactions.of("attack", name).sum()) for name in species},
        people=comparisons.people_in(np.ones(len(comparisons), bool)),
        frr=frr,
        far=measure.counted("far", transactions.of("non_mated")),
        iapar=iapar,
        iapar_max=at_worst,
        worst_species=worst,
        riapar=riapar,
        riapar_max=_riapar("riapar_max", frr, at_worst, measure) if frr and at_worst else None,
        no_answer=silent,
    )


def _statistic(transactions: Transactions) -> Statistic:
    """All rates for many weightings of the attempts (draws, N); NaN where a draw has none of the kind."""
    species = transactions.attack_species
    classes = {"frr": (transactions.of("mated"), ~transactions.accepted)}
    classes["far"] = (transactions.of("non_mated"), transactions.accepted)
    classes |= {f"iapar:{name}": (transactions.of("attack", name), transactions.accepted) for name in species}
    classes |= {f"no_answer:{kind}": (transactions.of(kind), ~transactions.answered) for kind in KINDS}
    members = np.stack([of for of, _ in classes.values()], axis=1).astype(np.float64)
    errors = np.stack([of & wrong for of, wrong in classes.values()], axis=1).astype(np.float64)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        rate = divide(weights @ errors, weights @ members)
        found = {name: rate[:, column] for column, name in enumerate(classes)}
        each = np.stack([found[f"iapar:{name}"] for name in species] or [np.full(len(weights), np.nan)], axis=1)
        worst = np.where(np.isnan(each), -1.0, each).max(axis=1)
        found["iapar_max"] = np.where(worst < 0, np.nan, worst)
        for name in ("max", *species):
            iapar, riapar = ("iapar_max", "riapar_max") if name == "max" else (f"iapar:{name}", f"riapar:{name}")
            found[riapar] = found[iapar] + found["frr"]
        return found

    return statistic


def _iapar(measure: Measure, transactions: Transactions, species: str) -> Rate | None:
    return measure.counted(f"iapar:{species}", transactions.of("attack", species))


def _riapar(name: str, frr: Rate, iapar: Rate, measure: Measure) -> Rate:
    value, draws = frr.value + iapar.value, measure.draws[name]
    trials = min(frr.trials, iapar.trials)
    people = None if frr.people is None or iapar.people is None else min(frr.people, iapar.people)
    over, level = measure.comparisons.over, measure.level
    both_drawn = all(part.interval.method.startswith("bootstrap") for part in (frr, iapar))
    careful = _sum_of_limits(frr, iapar, measure)
    if both_drawn and np.nanmin(draws) < np.nanmax(draws):
        interval = interval_of_draws(value, draws, people or trials, over=over, level=level)
        return Rate(value, None, trials, people, interval, _if_few(people, careful))
    return Rate(value, None, trials, people, careful)


def _sum_of_limits(frr: Rate, iapar: Rate, measure: Measure) -> Interval:
    """Limits of a sum, whatever ties its parts together: each part's at half the risk (Bonferroni)."""
    over = measure.comparisons.over
    parts = [
        interval_over_units(part.value, part.people or part.trials, over=over, level=(1 + measure.level) / 2)
        for part in (frr, iapar)
    ]
    low, high = (sum(limits) for limits in zip(*((part.low, part.high) for part in parts), strict=True))
    return Interval(low, high, parts[0].method, measure.level)


def _if_few(people: int | None, interval: Interval) -> Interval | None:
    return interval if people is not None and people < FEW_PEOPLE else None
