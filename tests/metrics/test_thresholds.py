from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import RateError
from ostiary.metrics.intervals import upper_limit
from ostiary.metrics.thresholds import choose_threshold
from ostiary.metrics.trials import Trials


def _development(seed: int = 0, *, attacks: int = 300, genuine: int = 200, people: bool = True) -> Trials:
    generator = np.random.default_rng(seed)
    scores = np.clip(np.r_[generator.normal(0.75, 0.1, genuine), generator.normal(0.3, 0.15, 2 * attacks)], 0, 1)
    kinds = [""] * genuine + ["print"] * attacks + ["replay"] * attacks
    subjects = [f"{i % 20}" for i in range(len(scores))] if people else None
    return Trials.from_columns(scores, [True] * genuine + [False] * 2 * attacks, kinds, subjects)


def test_upper_limit_of_every_species_meets_the_target() -> None:
    trials = _development()
    found = choose_threshold(trials, 0.05, data="made up")
    for species in ("print", "replay"):
        accepted = int((trials.liveness[trials.of(species)] >= found.value).sum())
        assert upper_limit(accepted, 300) <= 0.05
    assert found.upper_limit is not None and found.upper_limit <= 0.05  # noqa: PT018
    assert (found.target, found.rate, found.data) == ("apcer_max<=0.05", 0.05, "made up")
    assert (found.n_bona_fide, found.n_attack) == (200, 600)
    assert found.warning is not None
    assert "20 people" in found.warning and "600 of the rule of 30" in found.warning  # noqa: PT018


def test_it_is_the_smallest_such_threshold() -> None:
    trials = _development()
    found = choose_threshold(trials, 0.05, data="made up")
    below = trials.liveness[trials.liveness < found.value].max()
    worst = max(int((trials.liveness[trials.of(name)] >= below).sum()) for name in ("print", "replay"))
    assert upper_limit(worst, 300) > 0.05


def test_measured_rate_is_looser_and_says_so() -> None:
    trials = _development()
    careful = choose_threshold(trials, 0.05, data="d")
    point = choose_threshold(trials, 0.05, data="d", rule="apcer_point")
    assert point.value < careful.value
    assert point.upper_limit is not None and point.upper_limit > 0.05  # noqa: PT018
    assert max((trials.liveness[trials.of(s)] >= point.value).mean() for s in ("print", "replay")) <= 0.05
    assert point.warning is not None and "upper limits may not" in point.warning  # noqa: PT018


def test_too_few_attacks_of_one_species_are_refused() -> None:
    with pytest.raises(RateError, match=r"59 attacks of species (print|replay).*60"):
        choose_threshold(_development(attacks=59), 0.05, data="d")
    choose_threshold(_development(attacks=60), 0.05, data="d")


def test_equal_error_needs_no_rate() -> None:
    found = choose_threshold(_development(attacks=10, genuine=10), data="d", rule="eer")
    assert found.target == "eer"
    assert 0 <= found.rate < 0.5
    assert found.upper_limit is not None


def test_centres_are_those_of_the_strongest_species_and_no_one_picture_moves_them() -> None:
    genuine, print_, replay = [0.9, 0.8, 0.95], [0.01, 0.02, 0.03], [0.2, 0.1, 0.3]
    liveness = [*genuine, *print_, *replay]
    bona_fide, species = [True] * 3 + [False] * 6, [""] * 3 + ["print"] * 3 + ["replay"] * 3
    found = choose_threshold(Trials.from_columns(liveness, bona_fide, species), data="d", rule="centres")
    assert found.value == pytest.approx(0.6)  # odds 9 of 0.9 and 1/4 of 0.2: their geometric mean is 3/2
    assert (found.target, found.rate) == ("centres", 0)
    odd = Trials.from_columns([0.9, 0.05, 0.95, *print_, 0.2, 0.1, 0.99], bona_fide, species)
    moved = choose_threshold(odd, data="d", rule="centres")
    assert moved.value == pytest.approx(found.value)
    assert moved.rate == pytest.approx(1 / 3)
    certain = Trials.from_columns([1.0, 0.0], [True, False])
    assert choose_threshold(certain, data="d", rule="centres").value == pytest.approx(0.5)


def test_enough_trials_and_unknown_people_leave_no_warning() -> None:
    assert choose_threshold(_development(attacks=600, people=False), 0.05, data="d").warning is None


def test_falls_back_rather_than_refuse_everybody() -> None:
    trials = Trials.from_columns([0.5] * 20 + [0.1] * 97 + [0.6] * 3, [True] * 20 + [False] * 100)
    found = choose_threshold(trials, 0.05, data="d")
    assert found.value == 0.5
    assert found.warning is not None and "refuse every bona fide" in found.warning  # noqa: PT018


def test_attacks_at_the_very_top() -> None:
    with pytest.raises(RateError, match="no threshold meets"):
        choose_threshold(Trials.from_columns([1.0] * 100, [True] * 40 + [False] * 60), 0.05, data="d")


@pytest.mark.parametrize("genuine", [True, False])
def test_both_classes_are_needed(genuine: bool) -> None:
    with pytest.raises(RateError, match=r"No (attack|bona fide)"):
        choose_threshold(Trials.from_columns([0.5] * 100, [genuine] * 100), data="d")


def test_silent_presentations_choose_nothing() -> None:
    trials = _development()
    answered = trials.answered.copy()
    answered[::7] = False
    some = Trials(np.where(answered, trials.liveness, np.nan), answered, trials.bona_fide, trials.species, None)
    assert choose_threshold(some, data="d").n_bona_fide == int((answered & trials.bona_fide).sum())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_a_stricter_target_never_lowers_the_threshold(seed: int) -> None:
    trials = _development(seed, people=False)
    values = [choose_threshold(trials, target, data="d").value for target in (0.2, 0.1, 0.05)]
    assert values == sorted(values)
