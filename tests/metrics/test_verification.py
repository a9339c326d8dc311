from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ostiary.errors import RateError, ScoreFileError
from ostiary.metrics import curve as curves
from ostiary.metrics.verification import (
    check_support,
    compare,
    fnmr_at_fmr,
    group_rates,
    rate_name,
    verification_rates,
)
from ostiary.metrics.verification_folds import accuracy_statistic, fold_accuracy
from ostiary.metrics.verification_measure import curve_statistic, threshold_statistic
from ostiary.metrics.verification_trials import Comparisons

HAND = Comparisons.from_columns(
    similarity=[0.9, 0.8, 0.4, 0.7, 0.6, 0.2, 0.1, 0.3, 0.5, 0.75],
    same=[1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    subjects=[(both[0], both[1]) for both in ("aa", "bb", "cc", "dd", "ab", "ac", "ad", "bc", "bd", "cd")],
)
"""Mated .9 .8 .4 .7; non-mated .6 .2 .1 .3 .5 .75."""


def people(seed: int = 0, count: int = 40, size: int = 400, spread: float = 0.1) -> Comparisons:
    """Pairs of ``count`` people, some of whom look like everybody; five folds, rounded so that there are ties."""
    generator = np.random.default_rng(seed)
    same = np.arange(size) % 2 == 0
    first = generator.integers(0, count, size)
    second = np.where(same, first, (first + generator.integers(1, count, size)) % count)
    common = generator.normal(0, spread, count)
    values = np.where(same, 0.7, 0.5 + common[first] / 2 + common[second] / 2) + generator.normal(0, 0.1, size)
    names = [(f"p{a}", f"p{b}") for a, b in zip(first, second, strict=True)]
    return Comparisons.from_columns(np.round(values.clip(0, 1), 2), same, (np.arange(size) % 5).tolist(), names)


def test_hand_worked_rates() -> None:
    found = verification_rates(HAND, {"door": 0.7}, targets=(0.5,))
    assert (found.n_mated, found.n_non_mated, found.people) == (4, 6, 4)
    # 24 combinations; .4 loses to .5 .6 .75, .7 loses to .75.
    assert found.auc is not None and found.auc.value == pytest.approx(20 / 24)  # noqa: PT018
    # at .7: 1/6 match wrongly, 1/4 do not match; at .6: 2/6 and 1/4. Both 1/12 apart: the stricter.
    assert found.eer is not None and found.eer.value == pytest.approx((1 / 6 + 1 / 4) / 2)  # noqa: PT018
    assert found.eer_threshold == 0.7
    door = found.at["door"]
    assert door.fmr is not None and (door.fmr.errors, door.fmr.trials, door.fmr.people) == (1, 6, 4)  # noqa: PT018
    assert door.fnmr is not None and (door.fnmr.errors, door.fnmr.trials) == (1, 4)  # noqa: PT018
    # of six non-mated pairs three may match: .4 lets .5, .6 and .75 pass
    reading = found.fnmr_at_fmr["5e-1"]
    assert (reading.threshold, reading.fmr) == (0.4, 0.5)
    assert reading.fnmr is not None and reading.fnmr.errors == 0  # noqa: PT018


def test_the_threshold_itself_matches() -> None:
    at = Comparisons.from_columns([0.5, 0.5], [True, False])
    door = verification_rates(at, {"door": 0.5}).at["door"]
    assert door.fmr is not None and door.fmr.value == 1  # noqa: PT018
    assert door.fnmr is not None and door.fnmr.value == 0  # noqa: PT018


@pytest.mark.parametrize(
    ("count", "supported", "warned"), [(299, False, False), (300, True, True), (3000, True, False)]
)
def test_rates_that_the_pairs_cannot_support_are_refused(count: int, supported: bool, warned: bool) -> None:
    values = np.linspace(0.1, 0.6, count)
    comparisons = Comparisons.from_columns([0.9, 0.55, *values], [True, True, *[False] * count])
    reading = verification_rates(comparisons, targets=(0.01,)).fnmr_at_fmr["1e-2"]
    assert (reading.fnmr is not None) == supported
    assert (reading.remark is not None) == (warned or not supported)
    if supported:
        fnmr, threshold = fnmr_at_fmr(comparisons, 0.01)
        assert reading.fnmr is not None and reading.fnmr.value == fnmr == 0.5  # noqa: PT018
        assert (values >= threshold).sum() == count // 100
    else:
        with pytest.raises(RateError, match=r"299 non-mated comparisons.*300 \(rule of 3\)"):
            fnmr_at_fmr(comparisons, 0.01)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=7, max_size=60), st.sampled_from([0.5, 0.51, 0.75]))
def test_fmr_is_never_above_the_stated_rate_and_never_needlessly_low(levels: list[int], target: float) -> None:
    values = np.array(levels) / 40
    same = np.arange(len(values)) >= 6
    comparisons = Comparisons.from_columns(values, same)
    fnmr, threshold = fnmr_at_fmr(comparisons, target)
    assert (values[~same] >= threshold).mean() <= target
    assert fnmr == (values[same] < threshold).mean()
    assert threshold in values or threshold > values.max()  # only thresholds that the data attain
    lower = values[values < threshold]
    if len(lower):  # one step lower would break the promise
        assert (values[~same] >= lower.max()).mean() > target


def test_each_fold_is_judged_by_the_others() -> None:
    comparisons = Comparisons.from_columns(
        [0.8, 0.6, 0.5, 0.3, 0.9, 0.4, 0.2, 0.55], [1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 7, 7, 7, 7]
    )
    found = fold_accuracy(comparisons)
    # Fold 7 has three right of four at .9 and at .4: the stricter, at which fold 0 loses both its mated pairs.
    # Fold 0 has all right at .6, at which fold 7 loses its mated .4 only.
    assert found.folds == (0, 7)
    assert found.thresholds == (0.9, 0.6)
    assert found.accuracies == (0.5, 0.75)
    assert found.accuracy == pytest.approx(0.625)
    assert found.standard_error == pytest.approx(np.std([0.5, 0.75], ddof=1) / np.sqrt(2))
    assert found.right.tolist() == [False, False, True, True, True, False, True, True]
    assert not found.dealt


def test_what_a_fold_says_of_itself_does_not_move_its_threshold() -> None:
    comparisons = people()
    assert comparisons.fold is not None
    before = fold_accuracy(comparisons)
    own = comparisons.fold == 3
    turned = Comparisons(
        np.where(own, 1 - comparisons.similarity, comparisons.similarity),
        comparisons.same,
        comparisons.fold,
        comparisons.people,
        comparisons.group,
    )
    after = fold_accuracy(turned)
    assert after.thresholds[3] == before.thresholds[3]
    assert after.accuracies[3] < 0.5 < before.accuracies[3]


@pytest.mark.parametrize("fold", [None, [0] * 40, [0] * 20 + [1] * 20])
def test_without_folds_that_can_be_used_they_are_made(fold: list[int | None] | None) -> None:
    """In the last case each fold leaves one class alone to choose a threshold by."""
    values = np.concatenate([np.linspace(0.6, 0.9, 20), np.linspace(0.1, 0.4, 20)])
    found = fold_accuracy(Comparisons.from_columns(values, [True] * 20 + [False] * 20, fold))
    assert found.dealt
    assert len(found.folds) == 10
    assert found.accuracies[0] == 0.5  # the strictest threshold of the others is above its two mated pairs
    assert set(found.accuracies[1:]) == {1.0}


def test_an_accuracy_needs_both_classes_and_two_folds() -> None:
    with pytest.raises(RateError, match="no non-mated"):
        fold_accuracy(Comparisons.from_columns([0.5, 0.6], [True, True]))
    few = Comparisons.from_columns([0.9, 0.8, 0.2], [True, True, False])
    with pytest.raises(RateError, match="at least two"):
        fold_accuracy(few)
    found = verification_rates(few)
    assert found.accuracy is None
    assert found.auc is not None and found.auc.value == 1  # noqa: PT018


def test_a_comparison_counts_as_often_as_its_people_were_drawn() -> None:
    weights = HAND.weights(np.array([[2.0, 1.0, 0.0, 3.0]]))
    assert weights.tolist() == [[2, 1, 0, 3, 2, 0, 6, 0, 3, 0]]
    assert HAND.over == "people"
    unknown = Comparisons.from_columns(HAND.similarity, HAND.same)
    assert (unknown.over, unknown.units) == ("trials", 10)
    drawn = np.arange(10.0)[None]
    assert unknown.weights(drawn).tolist() == drawn.tolist()


def _copied(comparisons: Comparisons, weights: NDArray[np.float64]) -> Comparisons:
    places = np.repeat(np.arange(len(comparisons)), weights.astype(int))
    assert comparisons.fold is not None
    return Comparisons(
        comparisons.similarity[places],
        comparisons.same[places],
        comparisons.fold[places],
        None,
        comparisons.group[places],
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_bootstrap_uses_the_same_definitions(seed: int) -> None:
    """People taken as often as a draw says equal a list in which their pairs stand so often."""
    comparisons = people(seed)
    drawn = np.random.default_rng(seed).integers(0, 3, (1, comparisons.units)).astype(float)
    targets = {"3e-2": 0.03, "2e-1": 0.2}
    statistics = [
        accuracy_statistic(comparisons),
        curve_statistic(comparisons, targets),
        threshold_statistic(comparisons, "door", 0.6),
    ]
    found = {name: values[0] for name, values in comparisons.resampled(statistics)(drawn).items()}
    copied = _copied(comparisons, comparisons.weights(drawn)[0])
    assert found["accuracy"] == pytest.approx(fold_accuracy(copied).accuracy)
    assert found["auc"] == pytest.approx(curves.auc(copied.as_trials()))
    assert found["eer"] == pytest.approx(curves.equal_error(copied.as_trials())[0])
    for name, target in targets.items():
        assert found[f"fnmr_at_fmr:{name}"] == pytest.approx(fnmr_at_fmr(copied, target)[0])
    assert found["fmr:door"] == pytest.approx((copied.similarity[~copied.same] >= 0.6).mean())
    assert found["fnmr:door"] == pytest.approx((copied.similarity[copied.same] < 0.6).mean())


def test_a_draw_may_leave_a_fold_empty() -> None:
    comparisons = people()
    weights = np.where(comparisons.fold == 2, 0.0, 1.0)[None]
    found = accuracy_statistic(comparisons)(weights)["accuracy"][0]
    assert found == pytest.approx(fold_accuracy(comparisons.select(comparisons.fold != 2)).accuracy)


def test_few_people_who_look_like_everybody_widen_the_interval() -> None:
    known = people(spread=0.15)
    unknown = Comparisons(known.similarity, known.same, known.fold, None, known.group)
    by_people, by_pairs = (verification_rates(each, {"door": 0.6}).at["door"].fmr for each in (known, unknown))
    assert by_people is not None and by_pairs is not None  # noqa: PT018
    assert by_people.value == by_pairs.value
    assert by_people.interval.method == "bootstrap over people"
    assert by_pairs.interval.method == "bootstrap over trials"
    assert by_people.interval.high - by_people.interval.low > 1.5 * (
        by_pairs.interval.high - by_pairs.interval.low
    )


def test_intervals_hold_the_value_and_repeat() -> None:
    comparisons = people(3)
    found, again = (verification_rates(comparisons, targets=(0.05,), seed=1) for _ in range(2))
    for rate in (found.accuracy, found.auc, found.eer, found.fnmr_at_fmr["5e-2"].fnmr):
        assert rate is not None
        assert rate.interval.low <= rate.value <= rate.interval.high
    assert (found.accuracy, found.auc, found.eer) == (again.accuracy, again.auc, again.eer)
    other = verification_rates(comparisons, targets=(0.05,), seed=2)
    assert other.eer is not None and found.eer is not None  # noqa: PT018
    assert other.eer.interval != found.eer.interval


def test_no_error_is_not_certainty() -> None:
    """30 people without an error: the interval is that of 30 trials, not of hundreds of pairs."""
    names = [(f"p{i}", f"p{i}") for i in range(30)] + [
        (f"p{i}", f"p{(i + k) % 30}") for i in range(30) for k in (1, 2)
    ]
    same = [first == second for first, second in names]
    found = verification_rates(
        Comparisons.from_columns([0.9 if mated else 0.1 for mated in same], same, None, names), {"door": 0.5}
    )
    door = found.at["door"]
    assert door.fmr is not None and found.auc is not None  # noqa: PT018
    assert (door.fmr.value, found.auc.value) == (0, 1)
    assert door.fmr.interval.method == "Clopper-Pearson over people"
    assert door.fmr.interval.high == pytest.approx(0.1157, abs=1e-4)
    assert found.auc.interval.low < 0.9


def test_few_people_get_the_careful_interval_too() -> None:
    found = verification_rates(HAND, {"door": 0.7})
    fmr = found.at["door"].fmr
    assert fmr is not None and fmr.people_interval is not None  # noqa: PT018
    assert fmr.people_interval.method == "Clopper-Pearson over people"


@pytest.mark.parametrize("mated", [True, False])
def test_one_class_only(mated: bool) -> None:
    comparisons = Comparisons.from_columns([0.2, 0.7, 0.9], [mated] * 3)
    found = verification_rates(comparisons, {"door": 0.5})
    assert found.accuracy is found.auc is found.eer is found.eer_threshold is None
    assert [reading.fnmr for reading in found.fnmr_at_fmr.values()] == [None, None]
    assert (found.at["door"].fmr is None, found.at["door"].fnmr is None) == (mated, not mated)
    with pytest.raises(RateError, match="no non-mated" if mated else "no mated"):
        check_support(comparisons, 0.5)


def test_pairing_removes_what_both_find_hard() -> None:
    first = people(2)
    closer = np.where(first.same, np.minimum(first.similarity + 0.02, 1), first.similarity)
    second = Comparisons(closer, first.same, first.fold, first.people, first.group)
    found = compare(first, second, targets=(0.05,))
    assert set(found) == {"accuracy", "auc", "eer", "fnmr_at_fmr:5e-2"}
    rates = verification_rates(first, targets=(0.05,))
    assert rates.auc is not None
    assert 0 < found["auc"].low <= found["auc"].value <= found["auc"].high
    assert found["auc"].high - found["auc"].low < (rates.auc.interval.high - rates.auc.interval.low) / 2
    assert found["fnmr_at_fmr:5e-2"].value < 0
    same = compare(first, first, targets=(0.05,))
    assert {(each.low, each.value, each.high) for each in same.values()} == {(0, 0, 0)}


def test_other_pairs_are_not_compared() -> None:
    first = people(0)
    for other in (
        people(0, size=398),
        people(1),
        Comparisons(first.similarity, first.same, None, None, first.group),
    ):
        with pytest.raises(RateError, match="same pairs"):
            compare(first, other)
    alone = first.select(first.same)
    with pytest.raises(RateError, match="mated as well as"):
        compare(alone, alone)


def test_groups_at_one_threshold() -> None:
    columns = {
        "similarity": [0.9, 0.7, 0.6, 0.2, 0.8, 0.5, 0.3, 0.1],
        "same": [1, 1, 0, 0, 1, 1, 0, 0],
        "group": ["north"] * 4 + ["south"] * 4,
    }
    comparisons = Comparisons.from_columns(**columns)  # type: ignore[arg-type]
    right = np.array([True, True, False, True, True, False, True, True])
    found = group_rates(comparisons, right, {"door": 0.6})
    assert list(found) == ["north", "south"]
    north, south = found["north"].at["door"], found["south"].at["door"]
    assert [rate and rate.value for rate in (north.fmr, north.fnmr, south.fmr, south.fnmr)] == [0.5, 0, 0, 0.5]
    accuracy = found["north"].accuracy
    assert accuracy is not None and (accuracy.value, accuracy.errors, accuracy.trials) == (0.75, 1, 4)  # noqa: PT018
    assert found["south"].auc is not None and found["south"].auc.value == 1  # noqa: PT018
    assert group_rates(HAND, None, {"door": 0.6}) == {}


def test_selected_people_are_numbered_anew() -> None:
    part = HAND.select(np.array([False, True, False, False, False, False, False, True, False, False]))
    assert part.people is not None and part.people.tolist() == [[0, 0], [0, 1]]  # noqa: PT018
    assert part.units == 2


def test_one_unknown_fold_or_person_makes_all_unknown() -> None:
    found = Comparisons.from_columns([0.1, 0.9], [0, 1], [0, None], [("a", "b"), ("a", "")])
    assert (found.fold, found.people) == (None, None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"similarity": [0.5, float("nan")]}, "not a number in"),
        ({"similarity": [0.5, 1.01]}, "not a number in"),
        ({"similarity": [0.5]}, "differ in length"),
        ({"group": ["x"]}, "differ in length"),
        ({"subjects": [("a", "b"), ("a", "c")]}, "Comparison 1 is said to be of the same person"),
        ({"subjects": [("a", "a"), ("a", "a")]}, "Comparison 2 is said to be of two people"),
    ],
)
def test_wrong_columns_are_refused(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ScoreFileError, match=message):
        Comparisons.from_columns(**({"similarity": [0.5, 0.6], "same": [True, False]} | columns))  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "name"), [(0.01, "1e-2"), (1e-3, "1e-3"), (0.025, "2.5e-2"), (0.5, "5e-1")])
def test_names_of_rates(rate: float, name: str) -> None:
    assert rate_name(rate) == name
    assert float(name) == rate
