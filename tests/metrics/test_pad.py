from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from ostiary.errors import RateError, ScoreFileError
from ostiary.metrics import curve as curves
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.trials import Trials

HAND = Trials.from_columns(
    liveness=[0.9, 0.8, 0.4, 0.7, None, 0.6, 0.2, 0.1, 0.3, 0.5, 0.75, None],
    bona_fide=[1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    species=["", "", "", "", "", "print", "print", "print", "print", "replay", "replay", "replay"],
    subjects=list("aabbcaabbaab"),
)
"""Bona fide .9 .8 .4 .7 and one silent; print .6 .2 .1 .3; replay .5 .75 and one silent."""


def test_hand_worked_rates() -> None:
    found = pad_rates(HAND, 0.5)
    assert (found.n_bona_fide, found.n_attack, found.people) == (4, 6, 3)
    assert found.n_species == {"print": 4, "replay": 2}
    assert {name: rate.value for name, rate in found.apcer.items()} == {"print": 0.25, "replay": 1.0}
    assert found.worst_species == "replay"
    assert found.apcer_max is not None and found.apcer_max.value == 1.0  # noqa: PT018
    assert found.apcer_pooled is not None and found.apcer_pooled.value == pytest.approx(3 / 6)  # noqa: PT018
    assert found.bpcer is not None and (found.bpcer.errors, found.bpcer.trials) == (1, 4)  # noqa: PT018
    assert found.acer_pooled is not None and found.acer_pooled.value == pytest.approx(0.375)  # noqa: PT018
    assert found.accuracy is not None and found.accuracy.value == pytest.approx(0.6)  # noqa: PT018
    assert found.accuracy.errors == 4


def test_the_threshold_itself_is_accepted() -> None:
    at = Trials.from_columns([0.5, 0.5], [True, False])
    found = pad_rates(at, 0.5)
    assert found.bpcer is not None and found.bpcer.value == 0  # noqa: PT018
    assert found.apcer["unspecified"].value == 1


def test_hand_worked_readings() -> None:
    found = pad_rates(HAND, None)
    # 24 pairs; .4 loses to .5 .6 .75, .7 loses to .75.
    assert found.auc is not None and found.auc.value == pytest.approx(20 / 24)  # noqa: PT018
    # at .7: 1/6 attacks accepted, 1/4 bona fide refused; at .6: 2/6 and 1/4. Both 1/12 apart: the stricter.
    assert found.eer is not None and found.eer.value == pytest.approx((1 / 6 + 1 / 4) / 2)  # noqa: PT018
    assert found.eer_threshold == 0.7
    # no attack of either species may pass: .8 is the smallest score above .75
    reading = found.bpcer_at_apcer[0.05]
    assert (reading.bpcer.value, reading.threshold) == (0.5, 0.8)
    assert not reading.supported
    assert reading.remark is not None and "60" in reading.remark  # noqa: PT018


def test_silence_is_counted_apart() -> None:
    found = pad_rates(HAND, 0.5)
    assert found.bpnrr is not None and (found.bpnrr.errors, found.bpnrr.trials) == (1, 5)  # noqa: PT018
    assert {name: (rate.errors, rate.trials) for name, rate in found.apnrr.items()} == {
        "print": (0, 4),
        "replay": (1, 3),
    }


def test_without_threshold_there_is_no_operating_point() -> None:
    found = pad_rates(HAND, None)
    assert (found.apcer, found.apcer_max, found.bpcer, found.accuracy) == ({}, None, None, None)
    assert found.bpnrr is not None


@pytest.mark.parametrize("genuine", [True, False])
def test_one_class_only(genuine: bool) -> None:
    found = pad_rates(Trials.from_columns([0.2, 0.7, 0.9], [genuine] * 3, subjects=["a", "b", "c"]), 0.5)
    assert (found.auc, found.eer, found.acer_pooled, found.bpcer_at_apcer) == (None, None, None, {})
    assert (found.bpcer is None, found.apcer_max is None) == (not genuine, genuine)
    assert found.accuracy is not None
    with pytest.raises(RateError, match="attack" if genuine else "bona fide"):
        curves.auc(Trials.from_columns([0.2], [genuine]))


def test_nothing_answered() -> None:
    found = pad_rates(Trials.from_columns([None, None], [True, False], ["", "mask"], ["a", "b"]), 0.5)
    assert (found.n_bona_fide, found.n_attack, found.accuracy) == (0, 0, None)
    assert found.apnrr["mask"].value == 1


def test_few_people_get_a_second_interval() -> None:
    found = pad_rates(HAND, 0.5)
    assert found.bpcer is not None
    assert found.bpcer.people == 2
    assert found.bpcer.people_interval is not None
    assert found.bpcer.people_interval.method == "Clopper-Pearson over people"


def test_unknown_people_fall_back_to_trials() -> None:
    columns = [0.9, 0.8, 0.4, 0.6, 0.2], [1, 1, 1, 0, 0], ["", "", "", "print", "print"]
    found = pad_rates(Trials.from_columns(*columns, ["a", "", "b", "c", "d"]), 0.5)
    assert found.people is None
    assert found.bpcer is not None and found.bpcer.interval.method == "Clopper-Pearson over trials"  # noqa: PT018
    assert found.auc is not None and found.auc.interval.method == "bootstrap over trials"  # noqa: PT018


def test_perfect_separation_is_not_certainty() -> None:
    perfect = Trials.from_columns(
        [0.9] * 30 + [0.1] * 30, [1] * 30 + [0] * 30, subjects=[f"{i % 30}" for i in range(60)]
    )
    found = pad_rates(perfect, 0.5)
    assert found.auc is not None and found.eer is not None  # noqa: PT018
    assert (found.auc.value, found.eer.value) == (1, 0)
    assert found.auc.interval.low < 0.9
    assert found.eer.interval.high == pytest.approx(0.1157, abs=1e-4)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.01, 1.01])
def test_scores_must_be_shares(wrong: float) -> None:
    with pytest.raises(ScoreFileError, match="not a number in"):
        Trials.from_columns([0.5, wrong], [True, False])


def _random(seed: int, size: int = 120) -> Trials:
    generator = np.random.default_rng(seed)
    genuine = generator.random(size) < 0.4
    scores = np.round(np.clip(generator.normal(0.4 + 0.3 * genuine, 0.2), 0, 1), 2)  # rounded: with ties
    kinds = generator.choice(["print", "replay", "mask"], size)
    people = generator.integers(0, 25, size).astype(str)
    return Trials.from_columns(scores, genuine, list(kinds), list(people))


@pytest.mark.parametrize("seed", range(5))
def test_the_bootstrap_uses_the_same_definitions(seed: int) -> None:
    """Each person taken as often as a draw says equals a data set with that person copied so often."""
    trials = _random(seed)
    assert trials.person is not None
    taken = np.random.default_rng(seed).integers(0, 3, trials.people).astype(float)
    statistic = curves.curve_statistic(trials, trials.person, (0.01, 0.05, 0.3))
    drawn = {name: values[0] for name, values in statistic(taken[None]).items()}
    copies = np.repeat(np.arange(len(trials)), taken[trials.person].astype(int))
    copied = Trials(
        trials.liveness[copies],
        trials.answered[copies],
        trials.bona_fide[copies],
        trials.species[copies],
        None,
    )
    assert drawn["auc"] == pytest.approx(curves.auc(copied))
    assert drawn["eer"] == pytest.approx(curves.equal_error(copied)[0])
    for target in (0.01, 0.05, 0.3):
        assert drawn[f"bpcer_at_apcer:{target:g}"] == pytest.approx(curves.bpcer_at_apcer(copied, target)[0])


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed: int) -> None:
    trials = _random(seed)
    accepted_attacks, accepted_genuine, thresholds = roc_curve(trials.bona_fide, trials.liveness)
    assert curves.auc(trials) == pytest.approx(roc_auc_score(trials.bona_fide, trials.liveness))
    for at in range(1, len(thresholds)):
        found = pad_rates(trials, float(thresholds[at])) if at % 9 == 1 else None
        if found:
            assert found.apcer_pooled is not None and found.bpcer is not None  # noqa: PT018
            assert found.apcer_pooled.value == pytest.approx(accepted_attacks[at])
            assert found.bpcer.value == pytest.approx(1 - accepted_genuine[at])
    eer, at_eer = curves.equal_error(trials)
    at = int(np.argmin(np.abs(accepted_attacks - (1 - accepted_genuine))))
    assert abs(eer - accepted_attacks[at]) < 0.05
    assert 0 < at_eer < 1


scores = st.lists(st.integers(0, 40), min_size=4, max_size=40)


@settings(deadline=None, max_examples=60)
@given(scores, st.data())
def test_strictly_increasing_transforms_change_nothing(values: list[int], data: st.DataObject) -> None:
    genuine = [
        True,
        False,
        *data.draw(st.lists(st.booleans(), min_size=len(values) - 2, max_size=len(values) - 2)),
    ]
    plain = Trials.from_columns([value / 40 for value in values], genuine)
    bent = Trials.from_columns([(value / 40) ** 3 for value in values], genuine)
    assert curves.auc(plain) == pytest.approx(curves.auc(bent))
    assert curves.equal_error(plain)[0] == pytest.approx(curves.equal_error(bent)[0])
    for target in (0.01, 0.1, 0.5):
        error, threshold = curves.bpcer_at_apcer(plain, target)
        assert error == curves.bpcer_at_apcer(bent, target)[0]
        attacks = plain.liveness[~plain.bona_fide]
        assert (attacks >= threshold).mean() <= target
        lower = plain.liveness[plain.liveness < threshold]
        if len(lower):  # one step lower would break the promise
            assert (attacks >= lower.max()).mean() > target


@settings(deadline=None, max_examples=40)
@given(scores, st.floats(0, 1), st.floats(0, 1))
def test_errors_are_monotone_in_the_threshold(values: list[int], first: float, second: float) -> None:
    genuine = [index % 2 == 0 for index in range(len(values))]
    trials = Trials.from_columns([value / 40 for value in values], genuine)
    lower, higher = (pad_rates(trials, at) for at in sorted((first, second)))
    assert lower.apcer_max is not None and higher.apcer_max is not None  # noqa: PT018
    assert lower.bpcer is not None and higher.bpcer is not None  # noqa: PT018
    assert lower.apcer_max.value >= higher.apcer_max.value
    assert lower.bpcer.value <= higher.bpcer.value


def test_intervals_hold_the_value_and_repeat() -> None:
    trials = _random(1)
    found = pad_rates(trials, 0.55)
    assert found == pad_rates(trials, 0.55)
    for rate in (found.apcer_pooled, found.bpcer, found.acer_pooled, found.accuracy, found.auc, found.eer):
        assert rate is not None
        assert rate.interval.low <= rate.value <= rate.interval.high


def test_a_threshold_above_every_score_survives_float32() -> None:
    trials = Trials.from_columns([1.0, 1.0], [True, False])
    error, threshold = curves.bpcer_at_apcer(trials, 0.05)
    assert error == 1
    assert not np.float32(1.0) >= threshold
