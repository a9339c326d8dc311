"""FRR, FAR, IAPAR and RIAPAR are counts of the door's own answers, with intervals over people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import RateError, ScoreFileError
from ostiary.metrics.intervals import clopper_pearson
from ostiary.metrics.system import Kind, SystemRates, Transactions, system_rates


def _door(
    people: int = 25, *, refused: int = 0, strangers: int = 0, prints: int = 0, phones: int = 0
) -> Transactions:
    """Each person: 2 mated, 2 of the next person, 2 prints, 1 phone; the first few go wrong."""
    rows: list[tuple[bool, Kind, str, str, str]] = []
    for person in range(people):
        name, other = f"p{person}", f"p{(person + 1) % people}"
        rows += [(person >= refused, "mated", name, name, "")] * 2
        rows += [(person < strangers, "non_mated", name, other, "")] * 2
        rows += [(person < prints, "attack", name, name, "print")] * 2
        rows += [(person < phones, "attack", name, name, "phone")]
    accepted, kind, enrolled, presented, species = zip(*rows, strict=True)
    return Transactions.from_columns(accepted, kind, enrolled, presented, species=species)


@pytest.fixture(scope="module")
def rates() -> SystemRates:
    return system_rates(_door(refused=2, strangers=1, prints=3, phones=5))


def test_rates_are_counts_over_counts(rates: SystemRates) -> None:
    assert rates.frr is not None
    assert (rates.frr.value, rates.frr.errors, rates.frr.trials, rates.frr.people) == (0.08, 4, 50, 25)
    assert rates.far is not None
    assert (rates.far.errors, rates.far.trials, rates.far.people) == (2, 50, 25)
    assert {name: (rate.errors, rate.trials) for name, rate in rates.iapar.items()} == {
        "print": (6, 50),
        "phone": (5, 25),
    }
    assert rates.n_species == {"phone": 25, "print": 50}
    assert (rates.n_mated, rates.n_non_mated, rates.people) == (50, 50, 25)


def test_the_worst_species_counts(rates: SystemRates) -> None:
    assert rates.worst_species == "phone"
    assert rates.iapar_max is not None
    assert rates.iapar_max.value == 0.2
    assert rates.iapar_max.interval.high >= rates.iapar["phone"].interval.high


def test_riapar_is_iapar_and_frr_together(rates: SystemRates) -> None:
    assert {name: round(rate.value, 12) for name, rate in rates.riapar.items()} == {"print": 0.2, "phone": 0.28}
    assert rates.riapar_max is not None
    assert rates.riapar_max.value == pytest.approx(0.28)
    interval = rates.riapar["print"].interval
    assert interval.method == "bootstrap over people"
    assert interval.low < 0.2 < interval.high


def test_intervals_draw_people_not_attempts(rates: SystemRates) -> None:
    assert rates.iapar["print"].interval.method == "bootstrap over people"
    as_independent = clopper_pearson(6, 50)
    drawn = rates.iapar["print"].interval
    assert drawn.high - drawn.low > as_independent.high - as_independent.low


def test_without_an_error_each_person_is_one_trial() -> None:
    found = system_rates(_door(people=10))
    assert found.frr is not None
    assert found.far is not None
    for rate in (found.frr, found.far, found.iapar["print"]):
        assert (rate.interval.low, rate.interval.high) == (0, clopper_pearson(0, 10).high)
    half = clopper_pearson(0, 10, level=0.975).high
    assert found.riapar["print"].interval.high == pytest.approx(2 * half)


def test_few_people_get_the_careful_interval_beside() -> None:
    assert system_rates(_door(people=10, refused=2)).frr.people_interval is not None  # type: ignore[union-attr]
    assert system_rates(_door(people=25, refused=2)).frr.people_interval is None  # type: ignore[union-attr]


def test_riapar_above_one_is_not_cut() -> None:
    found = system_rates(_door(people=20, refused=15, prints=15))
    assert found.riapar["print"].value == pytest.approx(1.5)
    assert found.riapar["print"].interval.high > 1.5


def test_no_answer_is_a_refusal_and_counted_apart() -> None:
    found = system_rates(
        Transactions.from_columns(
            [True, False, False, True], ["mated", "mated", "attack", "attack"], "aabb", "aabb",
            answered=[True, False, True, True],
        )
    )  # fmt: skip
    assert found.frr is not None
    assert found.frr.value == 0.5
    assert found.no_answer["mated"].value == 0.5
    assert found.no_answer["attack"].value == 0
    assert "non_mated" not in found.no_answer
    assert list(found.iapar) == ["unspecified"]


def test_kinds_that_are_missing_give_no_rate() -> None:
    found = system_rates(Transactions.from_columns([True, False], ["attack"] * 2, "ab", "ab"))
    assert found.frr is None
    assert found.far is None
    assert found.riapar == {}
    assert found.riapar_max is None
    assert found.iapar_max is not None
    with pytest.raises(RateError, match="no transaction"):
        system_rates(Transactions.from_columns([], [], [], []))


def test_unknown_people_leave_single_attempts() -> None:
    kinds: list[Kind] = ["mated"] * 10 + ["attack"] * 10
    found = system_rates(Transactions.from_columns([True] * 9 + [False] * 11, kinds, [""] * 20, [""] * 20))
    assert found.people is None
    assert found.frr is not None
    assert found.frr.people is None
    assert found.frr.interval.method == "bootstrap over trials"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([True], ["mated"], ["a"], ["b"]), "same person"),
        (([True], ["non_mated"], ["a"], ["a"]), "two people"),
        (([True], ["impostor"], ["a"], ["a"]), "no kind"),
        (([True, True], ["mated"], ["a"], ["a"]), "length"),
    ],
)
def test_contradictions_are_refused(columns: tuple[list[object], ...], said: str) -> None:
    with pytest.raises(ScoreFileError, match=said):
        Transactions.from_columns(*columns)  # type: ignore[arg-type]


def test_a_door_that_opens_unmeasured_is_refused() -> None:
    with pytest.raises(ScoreFileError, match="opened though something was not measured"):
        Transactions.from_columns([True], ["mated"], ["a"], ["a"], answered=[False])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_rates_lie_in_their_intervals(seed: int) -> None:
    generator = np.random.default_rng(seed)
    people, rows = 12, 120
    kinds = generator.choice(["mated", "non_mated", "attack"], rows)
    first = generator.integers(people, size=rows)
    second = np.where(kinds == "non_mated", (first + generator.integers(1, people, size=rows)) % people, first)
    species = generator.choice(["print", "phone"], rows)
    found = system_rates(
        Transactions.from_columns(
            generator.random(rows) < 0.3, kinds.tolist(), [f"p{n}" for n in first], [f"p{n}" for n in second],
            species=species.tolist(),
        )
    )  # fmt: skip
    for rate in (found.frr, found.far, *found.iapar.values(), *found.riapar.values()):
        assert rate is not None
        assert rate.interval.low <= rate.value <= rate.interval.high
