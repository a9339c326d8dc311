from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from ostiary.data.index import Sample, Split
from ostiary.errors import RateError, ScoreFileError
from ostiary.reports.clip_evidence import fit_evidence
from ostiary.reports.clips import ALL, clip_report
from ostiary.reports.recordings import Fold, Recording, halves, recordings
from ostiary.reports.scores import Scores
from ostiary.runtime.clip import probability


def _sample(path: str, capture: str = "", **values: str) -> Sample:
    label = values.get("label", "bona_fide")
    species = values.get("species", "print" if label == "attack" else "")
    split: Split = values.get("split", "development")  # type: ignore[assignment]
    return Sample(
        path,
        label,  # type: ignore[arg-type]
        species,
        values.get("subject", "ada"),
        split,
        values.get("dataset", "one"),
        capture,
    )


def _scores(*rows: tuple[Sample, float | None]) -> Scores:
    values = np.array([np.nan if value is None else value for _, value in rows])
    return Scores(tuple(s for s, _ in rows), values, tuple("" if v is not None else "no_face" for _, v in rows))


def _recording(label: str, subject: str, *frames: float | None, dataset: str = "one") -> Recording:
    return Recording(dataset, f"{label} {subject}", label, "print" if label == "attack" else "", subject, frames)  # type: ignore[arg-type]


def _simulated(
    people: int, frames: int, *, correlation: float = 0.5, spread: float = 2.0, mean: float = 1.0, seed: int = 0
) -> tuple[Recording, ...]:
    """A bona fide recording and an attack of each person, N(+-mean, spread^2) in log-odds."""
    generator = np.random.default_rng(seed)
    found = []
    for label, centre in (("bona_fide", mean), ("attack", -mean)):
        shared = np.sqrt(correlation) * generator.normal(size=(people, 1))
        own = np.sqrt(1 - correlation) * generator.normal(size=(people, frames))
        values = np.clip(centre + spread * (shared + own), -15, 15)
        found += [_recording(label, f"p{n}", *map(probability, row)) for n, row in enumerate(values)]
    return tuple(found)


def test_rows_become_recordings_in_the_order_of_time() -> None:
    scores = _scores(
        (_sample("a/frame_10.png", "a"), 0.3),
        (_sample("a/frame_9.png", "a"), None),
        (_sample("a/frame_1.png", "a"), 0.1),
        (_sample("b/frame_1.png", "a", dataset="two"), 0.5),
        (_sample("still_1.png"), 0.6),
        (_sample("still_2.png"), 0.7),
        (_sample("later.png", "c", split="test", label="attack", species="mask"), 0.8),
    )
    found = recordings(scores)
    assert [recording.frames for recording in found] == [(0.1, None, 0.3), (0.5,), (0.6,), (0.7,), (0.8,)]
    assert found[0].answered == 2
    assert recordings(scores, "test") == (Recording("one", "c", "attack", "mask", "ada", (0.8,)),)
    assert len(recordings(scores, "development")) == 4


@pytest.mark.parametrize("change", [{"label": "attack"}, {"subject": "bob"}, {"split": "test"}])
def test_a_recording_of_two_kinds_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ScoreFileError, match="'a' of data set 'one'"):
        recordings(_scores((_sample("1", "a"), 0.5), (_sample("2", "a", **change), 0.5)))


def test_a_split_without_rows_is_refused() -> None:
    with pytest.raises(ScoreFileError, match="'test'"):
        recordings(_scores((_sample("1"), 0.5)), "test")


def test_halves_part_people_and_lose_nobody() -> None:
    found = tuple(
        _recording(label, f"p{n}", 0.5, dataset=dataset)
        for dataset, people in (("one", 7), ("two", 4))
        for n in range(people)
        for label in ("bona_fide", "attack")
    )
    first, second = halves(found)
    assert (first.fit, first.judged) == (second.judged, second.fit)
    assert sorted((*first.fit, *first.judged), key=str) == sorted(found, key=str)
    parts = [{(r.dataset, r.subject) for r in part} for part in (first.fit, first.judged)]
    assert not parts[0] & parts[1]
    assert sorted(len({name for name in parts[0] if name[0] == d}) for d in ("one", "two")) == [2, 3]
    assert halves(found) == (first, second)
    assert halves(found, seed=1) != (first, second)
    with pytest.raises(ScoreFileError, match="subject"):
        halves((*found, _recording("attack", "", 0.5)))


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_evidence_of_frames_is_found_again(correlation: float) -> None:
    """N(+-1, 4): the log-likelihood ratio of a frame is 2 x 1 / 4 = 0.5 of its log-odds."""
    evidence = fit_evidence(_simulated(600, 6, correlation=correlation))
    assert evidence.slope == pytest.approx(0.5, abs=0.05)
    assert evidence.offset == pytest.approx(0, abs=0.1)
    assert evidence.correlation == pytest.approx(correlation, abs=0.06)


def test_every_recording_and_class_weighs_the_same() -> None:
    found = _simulated(40, 1)
    longer = tuple(dataclasses.replace(r, frames=r.frames * (1 + n % 3)) for n, r in enumerate(found))
    more_attacks = (*found, *(r for r in found if r.label == "attack"))
    plain = fit_evidence(found)
    for other in (fit_evidence(longer), fit_evidence(more_attacks)):
        assert (other.slope, other.offset) == pytest.approx((plain.slope, plain.offset), rel=0.03, abs=0.03)


def test_a_second_frame_counts_nothing_if_none_was_seen_or_all_are_copies() -> None:
    single = _simulated(20, 1)
    assert fit_evidence(single).correlation == 1
    copies = tuple(dataclasses.replace(recording, frames=recording.frames * 4) for recording in single)
    assert fit_evidence(copies).correlation == 1


def test_separated_classes_stay_finite() -> None:
    evidence = fit_evidence(_simulated(20, 3, mean=6, spread=0.5))
    assert 0 < evidence.slope < 10


def test_evidence_is_refused_without_classes_that_differ_in_the_right_way() -> None:
    found = _simulated(20, 2)
    with pytest.raises(RateError, match="both classes"):
        fit_evidence([recording for recording in found if recording.label == "attack"])
    silent = [dataclasses.replace(r, frames=(None,)) if r.label == "attack" else r for r in found]
    with pytest.raises(RateError, match="both classes"):
        fit_evidence(silent)
    with pytest.raises(RateError, match="does not speak for"):
        fit_evidence(_simulated(40, 2, mean=-2))


def test_curve_by_hand() -> None:
    """The fitted thresholds lie near log-odds 4, where the first frame and the mean of two decide differently."""
    fit = _simulated(8, 2, mean=4, spread=0.1)
    judged = (
        _recording("bona_fide", "x", 0.1, 1.0),  # its mean is bona fide, its first frame is not
        _recording("bona_fide", "y", 1.0),  # shorter than two frames
        _recording("attack", "x", 1e-7, 1e-7, 1.0),
        _recording("attack", "y", 1.0, 1e-9),
        _recording("attack", "z", None, None),
    )
    report = clip_report([Fold(fit, judged)], frames=(1, 2), targets=(), most=2)
    first, second = report.curves["one"]
    assert [first.rule, second.rule] == ["mean of 1", "mean of 2"]
    assert (first.recordings, first.no_answer, first.frames) == (5, 1, 0.8)
    assert first.frames_of == {"bona_fide": 1, "attack": pytest.approx(2 / 3)}
    assert second.frames_of == {"bona_fide": 1.5, "attack": pytest.approx(4 / 3)}
    assert first.bpcer is not None
    assert first.apcer is not None
    assert (first.bpcer.errors, first.bpcer.trials, first.apcer.errors, first.apcer.trials) == (1, 2, 1, 2)
    assert second.bpcer is not None
    assert second.apcer is not None
    assert (second.bpcer.errors, second.apcer.errors) == (0, 0)
    assert first.eer is not None
    assert second.eer is not None
    assert (first.gain, second.gain.value if second.gain else None) == (None, second.eer.value - first.eer.value)


def test_the_sequential_test_has_the_rates_of_its_evidence() -> None:
    found = _simulated(300, 8, correlation=0.3, spread=3, mean=3)
    report = clip_report(halves(found), frames=(1, 8), targets=(0.1,))
    single, mean, sequential = report.curves["one"]
    assert single.frames < sequential.frames < mean.frames == 8
    assert single.by_evidence is mean.by_evidence is mean.evidence_apcer is None
    assert sequential.by_evidence is not None
    assert 0.5 < sequential.by_evidence <= 1
    for rate in (sequential.evidence_apcer, sequential.evidence_bpcer):
        assert rate is not None
        assert 0 < rate.value <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 300)
    assert sequential.apcer is not None
    assert sequential.evidence_apcer is not None
    assert sequential.apcer.value >= sequential.evidence_apcer.value  # the fall-back adds its own errors
    assert mean.gain is not None
    assert mean.gain.high < 0  # several frames help where they are not copies


def test_what_is_judged_does_not_touch_what_is_fitted() -> None:
    fit = _simulated(40, 3)
    fits = [
        clip_report([Fold(fit, _simulated(10, 3, seed=seed))], frames=(1, 3), targets=(0.2,)).fits
        for seed in (1, 2)
    ]
    assert fits[0] == fits[1]
    assert set(fits[0][0].thresholds) == {1, 3, 8}


def test_rates_that_the_recordings_cannot_bear_are_refused_in_words() -> None:
    report = clip_report([Fold(_simulated(20, 2), _simulated(10, 2, seed=1))], frames=(1,), targets=(0.2, 0.1))
    assert [point.rule for point in report.curves["one"]] == ["mean of 1", "sequential test at 0.2"]
    assert len(report.notes) == 1
    assert "0.1" in report.notes[0]
    assert "20 bona fide recordings" in report.notes[0]


def test_a_curve_for_each_data_set_and_for_all() -> None:
    fit = _simulated(20, 2)
    other = tuple(dataclasses.replace(r, dataset="two") for r in _simulated(5, 2, seed=2) if r.label == "attack")
    report = clip_report([Fold(fit, (*_simulated(10, 2, seed=1), *other))], frames=(1, 2), targets=(0.2,))
    assert list(report.curves) == [ALL, "one", "two"]
    assert [report.curves[name][0].recordings for name in report.curves] == [25, 20, 5]
    attacks_only = report.curves["two"][1]
    assert attacks_only.eer is attacks_only.bpcer is attacks_only.gain is None
    assert attacks_only.apcer is not None
    content = report.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False))["curves"]["one"][0]["eer"]["people"] == 10


def test_unknown_people_leave_out_the_paired_difference_alone() -> None:
    judged = [dataclasses.replace(recording, subject="") for recording in _simulated(10, 2, seed=1)]
    report = clip_report([Fold(_simulated(20, 2), tuple(judged))], frames=(1, 2), targets=())
    second = report.curves["one"][1]
    assert second.gain is None
    assert second.eer is not None
    assert second.eer.interval.method == "bootstrap over trials"
