from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, InputError, OstiaryError
from ostiary.runtime.clip import (
    ClipRule,
    Evidence,
    MeanOfLogits,
    SequentialTest,
    log_odds,
    probability,
)

INDEPENDENT = Evidence(slope=1.0, offset=0.0, correlation=0.0)
LIVENESS = st.floats(0, 1, width=32)


def play(rule: ClipRule, frames: list[float | None]) -> ClipRule:
    for frame in frames:
        if rule.state.decided:
            break
        rule.add(frame)
    return rule


def test_the_mean_of_logits_by_hand() -> None:
    clip = MeanOfLogits(0.5, 3)
    clip.add(0.9)  # log 9
    clip.add(0.9)
    assert (clip.state.frames, clip.state.reason, clip.state.accepted) == (2, "undecided", False)
    clip.add(1 / 82)  # log 1/81: cancels both, where the mean of the probabilities would be 0.604
    assert clip.state.liveness == pytest.approx(0.5)
    assert play(MeanOfLogits(0.5, 2), [0.9, 0.2]).state.accepted
    assert play(MeanOfLogits(0.5, 2), [0.9, 0.05]).state.reason == "presentation_attack"


@given(LIVENESS, st.floats(2**-20, 1, width=32))
def test_a_clip_of_one_frame_is_the_frame(liveness: float, threshold: float) -> None:
    """Except within rounding of the threshold."""
    if abs(log_odds(liveness) - log_odds(threshold)) > 1e-9:
        assert play(MeanOfLogits(threshold, 1), [liveness]).state.accepted == (liveness >= threshold)


@given(st.lists(LIVENESS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_frames_does_not_matter_for_the_mean(frames: list[float], random: object) -> None:
    shuffled = list(frames)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    states = [play(MeanOfLogits(0.4, len(frames)), list(order)).state for order in (frames, shuffled)]
    assert states[0] == states[1]
    assert states[0].decided


def test_a_mean_at_the_threshold_is_accepted_in_every_order() -> None:
    frames = [0.1, 0.3, 0.6, 0.85]
    threshold = play(MeanOfLogits(0.5, 4), list(frames)).state.liveness
    assert threshold is not None
    assert all(play(MeanOfLogits(threshold, 4), list(o)).state.accepted for o in itertools.permutations(frames))


@given(st.lists(LIVENESS, min_size=3, max_size=3), st.integers(0, 2), LIVENESS)
def test_no_frame_does_harm_by_being_more_bona_fide(frames: list[float], place: int, other: float) -> None:
    better = list(frames)
    better[place] = max(other, frames[place])
    before, after = (play(MeanOfLogits(0.3, 3), list(some)).state for some in (frames, better))
    assert after.accepted or not before.accepted


def test_one_certain_frame_does_not_outvote_all_others() -> None:
    """A network may say 1.0 exactly, which is no infinite evidence."""
    assert math.isfinite(log_odds(1.0))
    assert log_odds(0.0) == -log_odds(1.0)
    assert not play(MeanOfLogits(0.5, 8), [1.0, *[0.01] * 7]).state.accepted


@given(st.floats(-16, 16))
def test_log_odds_and_probability_are_inverse(value: float) -> None:
    assert log_odds(probability(value)) == pytest.approx(value, abs=1e-6)


def test_the_sequential_test_by_hand() -> None:
    """Bounds are log 1/0.05 = 3.0 and log 0.1 = -2.3; a frame of 0.9 gives log 9 = 2.2."""
    clip = SequentialTest(INDEPENDENT, 0.5, apcer=0.05, bpcer=0.1)
    clip.add(0.9)
    assert not clip.state.decided
    assert clip.ratio == pytest.approx(math.log(9))
    clip.add(0.9)
    assert (clip.state.reason, clip.state.frames, clip.decided_by_evidence) == ("bona_fide", 2, True)
    refused = play(SequentialTest(INDEPENDENT, 0.5, apcer=0.05, bpcer=0.1), [0.5, 0.09])
    assert refused.state.reason == "presentation_attack"


def test_an_open_sequential_test_falls_back_to_the_mean() -> None:
    for threshold, accepted in ((0.55, True), (0.65, False)):
        clip = SequentialTest(INDEPENDENT, threshold, apcer=0.01, bpcer=0.01, frames=3)
        play(clip, [0.6] * 3)
        assert (clip.state.decided, clip.state.accepted, clip.decided_by_evidence) == (True, accepted, False)


def test_copies_of_a_frame_are_no_further_evidence() -> None:
    alone = SequentialTest(Evidence(1.0, 0.0, 1.0), 0.5, apcer=0.01, bpcer=0.01, frames=99)
    play(alone, [0.9] * 98)
    assert not alone.state.decided
    assert alone.ratio == pytest.approx(math.log(9))
    assert Evidence(1.0, 0.0, 0.25).ratio(1.0, 10_000) == pytest.approx(1 / 0.25, rel=1e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_stated_error_rates_hold(correlation: float) -> None:
    """Frames N(+-1, 4) in log-odds with this correlation within a clip; evidence alone decides."""
    wrong = _simulate(correlation, Evidence(0.5, 0.0, correlation), apcer=0.05, bpcer=0.10)
    assert wrong["attack"] <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / CLIPS)
    assert wrong["bona_fide"] <= 0.10 + 3 * math.sqrt(0.10 * 0.90 / CLIPS)
    if not correlation:
        assert min(wrong.values()) > 0.01  # no stricter than it says by much


def test_stated_error_rates_break_if_frames_are_taken_for_independent() -> None:
    wrong = _simulate(0.3, Evidence(0.5, 0.0, 0.0), apcer=0.05, bpcer=0.10)
    assert wrong["attack"] > 0.10
    assert wrong["bona_fide"] > 0.15


def test_clear_clips_take_fewer_frames_than_doubtful_ones() -> None:
    frames = [
        play(SequentialTest(INDEPENDENT, 0.5, apcer=0.01, bpcer=0.01, frames=20), [liveness] * 20).state.frames
        for liveness in (0.995, 0.9, 0.7)
    ]
    assert frames == [1, 3, 6]


@pytest.mark.parametrize(
    "make",
    [
        lambda missing: MeanOfLogits(0.5, 3, missing),
        lambda missing: SequentialTest(
            INDEPENDENT, 0.5, apcer=0.01, bpcer=0.01, frames=3, missing_allowed=missing
        ),
    ],
)
def test_missing_frames_are_no_evidence_and_are_counted(make) -> None:  # type: ignore[no-untyped-def]
    clip = play(make(2), [0.8, None, 0.8, None])
    assert (clip.state.frames, clip.state.missing, clip.state.reason) == (2, 2, "undecided")
    assert clip.state.liveness == pytest.approx(0.8)
    without = play(make(2), [0.8, 0.8, 0.8]).state
    clip.add(0.8)
    assert (clip.state.liveness, clip.state.reason) == (without.liveness, without.reason)
    silent = play(make(2), [0.8, None, 0.8, None, None])
    assert (silent.state.reason, silent.state.decided, silent.state.accepted) == ("no_answer", True, False)
    assert not play(make(0), [None]).state.accepted


def test_what_is_undecided_is_not_accepted() -> None:
    assert not MeanOfLogits(0.01, 2).state.accepted
    assert not play(MeanOfLogits(0.01, 2), [1.0]).state.accepted
    sequential = SequentialTest(INDEPENDENT, 0.01, apcer=1e-9, bpcer=1e-9)
    assert sequential.ratio == 0
    assert not play(sequential, [1.0]).state.accepted


def test_a_decided_clip_takes_no_more() -> None:
    clip = play(MeanOfLogits(0.5, 1), [0.1])
    for frame in (1.0, None):
        with pytest.raises(InputError, match="decided"):
            clip.add(frame)
    assert not clip.state.accepted


@pytest.mark.parametrize("liveness", [float("nan"), -0.01, 1.01, float("inf")])
def test_bad_liveness_is_refused_and_leaves_no_trace(liveness: float) -> None:
    clip = play(MeanOfLogits(0.5, 3), [0.7])
    before = clip.state
    with pytest.raises(InputError, match="None for no answer"):
        clip.add(liveness)
    assert clip.state == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: MeanOfLogits(0.0, 3),
        lambda: MeanOfLogits(1.5, 3),
        lambda: MeanOfLogits(float("nan"), 3),
        lambda: MeanOfLogits(0.5, 0),
        lambda: MeanOfLogits(0.5, 3, -1),
        lambda: SequentialTest(INDEPENDENT, 0.5, apcer=0.0, bpcer=0.1),
        lambda: SequentialTest(INDEPENDENT, 0.5, apcer=0.1, bpcer=0.5),
        lambda: SequentialTest(INDEPENDENT, 0.5, apcer=float("nan"), bpcer=0.1),
        lambda: Evidence(0.0, 0.0, 0.0),
        lambda: Evidence(float("inf"), 0.0, 0.0),
        lambda: Evidence(1.0, float("nan"), 0.0),
        lambda: Evidence(1.0, 0.0, 1.1),
        lambda: Evidence(1.0, 0.0, float("nan")),
    ],
)
def test_impossible_settings_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, OstiaryError)
    assert str(caught.value).endswith(".")


CLIPS = 500
MOST = 30


def _simulate(correlation: float, evidence: Evidence, *, apcer: float, bpcer: float) -> dict[str, float]:
    """Share of clips of each class that the evidence decided wrongly."""
    generator = np.random.default_rng(0)
    wrong = {}
    for label, mean in (("attack", -1.0), ("bona_fide", 1.0)):
        shared = math.sqrt(correlation) * generator.normal(size=(CLIPS, 1))
        own = math.sqrt(1 - correlation) * generator.normal(size=(CLIPS, MOST))
        errors = 0
        for frames in mean + 2 * (shared + own):
            clip = SequentialTest(evidence, 0.5, apcer=apcer, bpcer=bpcer, frames=MOST)
            for frame in frames:
                clip.add(probability(frame))
                if clip.state.decided:
                    break
            errors += clip.decided_by_evidence and clip.state.accepted == (label == "attack")
        wrong[label] = errors / CLIPS
    return wrong
