"""What several frames of a recording are worth: errors against the number of frames, recording by recording.

Each recording of a score file is played, frame by frame, to the rules of ``ostiary.runtime.clip``, the very code
that stands at a door. What a rule needs (a threshold, what a frame tells) comes from other recordings, of
development people. A recording that is shorter than a rule asks for is judged by the frames it has, so that all
points of a curve stand on the same recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Label
from ostiary.errors import RateError
from ostiary.metrics.bootstrap import DRAWS, Difference
from ostiary.metrics.comparison import Run, compare
from ostiary.metrics.intervals import supports
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.rates import Rate
from ostiary.metrics.thresholds import Rule, choose_threshold
from ostiary.metrics.trials import Trials
from ostiary.reports.clip_evidence import fit_evidence
from ostiary.reports.recordings import Fold, Recording
from ostiary.runtime.clip import ClipRule, Evidence, MeanOfLogits, SequentialTest, probability

FRAMES = (1, 2, 3, 5, 8)
TARGETS = (0.20, 0.10, 0.05)
SEQUENTIAL = "sequential test"
"""How the names of its points begin."""
ALL = "all"
"""Name of the curve over all data sets together."""


@dataclass(frozen=True, slots=True)
class Point:
    """One rule on one set of recordings; rates are None where a class is missing.

    ``frames`` is the mean number of frames with an answer that a recording took, ``frames_of`` that of a label.
    ``apcer`` is that of the worst species; it and ``bpcer`` are of the decisions. ``eer`` is a reading of what the
    rule ended with: mean log-odds, or likelihood ratio. ``gain`` is the EER minus that of the first point, on the
    same recordings. For sequential tests, ``by_evidence`` is the share that they decided without falling back to
    the mean; ``evidence_apcer`` (all species together) and ``evidence_bpcer`` are the shares of each class that
    they got wrong so, which is what their targets promise.
    """

    rule: str
    recordings: int
    frames: float
    frames_of: dict[Label, float]
    eer: Rate | None
    gain: Difference | None
    apcer: Rate | None
    worst_species: str | None
    bpcer: Rate | None
    no_answer: int
    by_evidence: float | None
    evidence_apcer: Rate | None
    evidence_bpcer: Rate | None


@dataclass(frozen=True, slots=True)
class Fit:
    """What one fold's rules rest on: what a frame tells, and for each number of frames a threshold of the mean."""

    evidence: Evidence
    thresholds: dict[int, float]


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Curves by data set (and ``all``), the fits behind them, and why a rule has no point."""

    curves: dict[str, tuple[Point, ...]]
    fits: tuple[Fit, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def clip_report(
    folds: Sequence[Fold],
    *,
    frames: Sequence[int] = FRAMES,
    targets: Sequence[float] = TARGETS,
    most: int = 8,
    rule: Rule = "eer",
    target: float = 0.05,
    draws: int = DRAWS,
    seed: int = 0,
) -> ClipReport:
    """Errors and frames of each rule on the judged recordings of all folds.

    Args:
        folds: what is fitted on what, and judged on what.
        frames: a mean of logits for each of these numbers.
        targets: a sequential test for each of these rates, as its APCER and its BPCER; a rate that the fitted
            recordings are too few for gets a note instead of a point.
        most: the most frames of the sequential test.
        rule: how the thresholds are chosen; see ``choose_threshold``.
        target: the APCER for it, unless the rule is ``eer``.
        draws: bootstrap draws.
        seed: of the bootstrap.

    Raises:
        RateError: the fitted recordings lack a class, or do not carry a threshold.

    """
    fits = tuple(_fit(fold.fit, sorted({*frames, most}), rule, target) for fold in folds)
    notes: list[str] = []
    played = {
        f"mean of {count}": _play(folds, [_mean_rule(fit, count) for fit in fits], count) for count in frames
    }
    for rate in targets:
        try:
            for fold in folds:
                _check_support(rate, fold.fit)
        except RateError as refusal:
            notes.append(f"No sequential test at {rate:g}: {refusal}")
            continue
        rules = [_sequential_rule(fit, rate, most) for fit in fits]
        played[f"{SEQUENTIAL} at {rate:g}"] = _play(folds, rules, most)
    datasets = sorted({recording.dataset for fold in folds for recording in fold.judged})
    curves = {}
    for name in [ALL, *datasets] if len(datasets) > 1 else datasets:
        of_set = {
            rule_name: [end for end in ends if name in (ALL, end.recording.dataset)]
            for rule_name, ends in played.items()
        }
        first = next(iter(of_set.values()))
        curves[name] = tuple(_point(rule_name, ends, first, draws, seed) for rule_name, ends in of_set.items())
    return ClipReport(curves, fits, tuple(notes))


@dataclass(frozen=True, slots=True)
class _End:
    """How a recording ended: ``score`` in [0, 1] ranks it, None if it got no answer."""

    recording: Recording
    frames: int
    score: float | None
    accepted: bool
    by_evidence: bool

    @property
    def accepted_by_evidence(self) -> bool:
        """As the evidence decided, and right where it did not."""
        return self.accepted if self.by_evidence else self.recording.label == "bona_fide"


MakeRule = Callable[[int], ClipRule]
"""Makes a rule that decides after so many frames at the latest."""


def _fit(found: Sequence[Recording], frames: Sequence[int], rule: Rule, target: float) -> Fit:
    thresholds: dict[int, float] = {}
    for count in frames:
        ends = [_end(recording, lambda most: MeanOfLogits(0.5, most), count) for recording in found]
        thresholds[count] = choose_threshold(_trials(ends), target, data="the fitted recordings", rule=rule).value
    return Fit(fit_evidence(found), thresholds)


def _mean_rule(fit: Fit, frames: int) -> MakeRule:
    return lambda most: MeanOfLogits(fit.thresholds[frames], most)


def _sequential_rule(fit: Fit, rate: float, frames: int) -> MakeRule:
    threshold = fit.thresholds[frames]
    return lambda most: SequentialTest(fit.evidence, threshold, apcer=rate, bpcer=rate, frames=most)


def _check_support(rate: float, found: Sequence[Recording]) -> None:
    """Evidence is a model of both classes; it knows no rarer event than its recordings can show."""
    genuine = sum(recording.label == "bona_fide" for recording in found)
    supports(rate, genuine, "bona fide recordings")
    supports(rate, len(found) - genuine, "attack recordings")


def _play(folds: Sequence[Fold], rules: Sequence[MakeRule], frames: int) -> list[_End]:
    return [
        _end(recording, make, frames) for fold, make in zip(folds, rules, strict=True) for recording in fold.judged
    ]


def _end(recording: Recording, make: MakeRule, frames: int) -> _End:
    rule = make(max(1, min(frames, recording.answered)))
    for frame in recording.frames:
        rule.add(frame)
        if rule.state.decided:
            break
    state = rule.state
    if not state.decided or state.reason == "no_answer":
        return _End(recording, state.frames, None, False, False)
    if isinstance(rule, SequentialTest):
        return _End(recording, state.frames, probability(rule.ratio), state.accepted, rule.decided_by_evidence)
    return _End(recording, state.frames, state.liveness, state.accepted, False)


def _point(name: str, ends: Sequence[_End], first: Sequence[_End], draws: int, seed: int) -> Point:
    """``first`` are the ends that the gain is over: the same recordings under the first rule."""
    ranked = _trials(ends)
    decided = _trials(ends, lambda end: float(end.accepted))
    reading = pad_rates(ranked, None, targets=(), draws=draws, seed=seed)
    rates = pad_rates(decided, 0.5, targets=(), draws=draws, seed=seed)
    evidence = None
    if name.startswith(SEQUENTIAL):
        wrong = _trials(ends, lambda end: float(end.accepted_by_evidence))
        evidence = pad_rates(wrong, 0.5, targets=(), draws=draws, seed=seed)
    gain = None
    if first is not ends and reading.eer is not None and ranked.person is not None:
        pair = [Run(_trials(first), 0.5)], [Run(ranked, 0.5)]  # the EER asks for no threshold
        gain = compare(*pair, targets=(), draws=draws, seed=seed).get("eer")
    used = np.array([end.frames for end in ends])
    members: dict[Label, NDArray[np.bool_]] = {"bona_fide": ranked.bona_fide, "attack": ~ranked.bona_fide}
    return Point(
        rule=name,
        recordings=len(ends),
        frames=float(used.mean()),
        frames_of={label: float(used[mask].mean()) for label, mask in members.items() if mask.any()},
        eer=reading.eer,
        gain=gain,
        apcer=rates.apcer_max,
        worst_species=rates.worst_species,
        bpcer=rates.bpcer,
        no_answer=int((~ranked.answered).sum()),
        by_evidence=float(np.mean([end.by_evidence for end in ends])) if evidence else None,
        evidence_apcer=evidence.apcer_pooled if evidence else None,
        evidence_bpcer=evidence.bpcer if evidence else None,
    )


def _trials(ends: Sequence[_End], value: Callable[[_End], float | None] = lambda end: end.score) -> Trials:
    """Recordings as presentations, by default with what ranks them."""
    found = [end.recording for end in ends]
    return Trials.from_columns(
        [None if end.score is None else value(end) for end in ends],
        [recording.label == "bona_fide" for recording in found],
        [recording.species for recording in found],
        [recording.subject and f"{recording.dataset}\t{recording.subject}" for recording in found],
    )
