"""What a frame of a recording tells, measured on recordings of development people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import MissingExtraError, RateError
from ostiary.reports.recordings import Recording
from ostiary.runtime.clip import Evidence, log_odds


def fit_evidence(found: Sequence[Recording]) -> Evidence:
    """What a frame tells, from development recordings in which each recording and each class weighs the same.

    The likelihood ratio is linear in the log-odds (logistic regression, Platt 1999, with a ridge that keeps it
    finite where the classes do not overlap). The correlation is the intraclass correlation of the log-odds by
    analysis of variance (Fisher 1925), of the class in which it is larger; 1 if no recording has two frames, since
    then nothing shows that a second frame tells anything new.

    Raises:
        RateError: a class is missing, or higher liveness does not speak for bona fide.

    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtraError("scikit-learn", "evaluate") from None
    classes = {label: _log_odds(found, label) for label in ("attack", "bona_fide")}
    if not all(classes.values()):
        raise RateError("What a frame tells needs answered recordings of both classes; add development rows.")
    values = np.concatenate([frames for group in classes.values() for frames in group])
    shares = [(1 / len(group), frames) for group in classes.values() for frames in group]
    weights = np.concatenate([np.full(len(frames), share / len(frames)) for share, frames in shares])
    weights *= len(shares) / 2  # in all as many as there are recordings, against which the ridge is small
    genuine = np.repeat([False, True], [sum(map(len, group)) for group in classes.values()])
    fitted = LogisticRegression().fit(values[:, None], genuine, sample_weight=weights)
    slope = float(fitted.coef_[0, 0])
    if slope <= 0:
        raise RateError("On development recordings a higher liveness does not speak for bona fide; check them.")
    known = [value for value in map(_intraclass, classes.values()) if value is not None]
    return Evidence(slope, float(fitted.intercept_[0]), max(known, default=1.0))


def _log_odds(found: Sequence[Recording], label: str) -> list[NDArray[np.float64]]:
    """The log-odds of the answered frames of each recording of a class that has any."""
    return [
        np.array([log_odds(frame) for frame in recording.frames if frame is not None])
        for recording in found
        if recording.label == label and recording.answered
    ]


def _intraclass(groups: Sequence[NDArray[np.float64]]) -> float | None:
    """Correlation of two frames of one recording (one-way analysis of variance), or None where none has two."""
    sizes = np.array([len(frames) for frames in groups])
    total = int(sizes.sum())
    if len(groups) < 2 or total == len(groups):
        return None
    means = np.array([frames.mean() for frames in groups])
    centre = float(sizes @ means) / total
    between = float(sizes @ (means - centre) ** 2) / (len(groups) - 1)
    within = sum(float(((frames - mean) ** 2).sum()) for frames, mean in zip(groups, means, strict=True))
    within /= total - len(groups)
    typical = (total - float(sizes @ sizes) / total) / (len(groups) - 1)
    spread = between + (typical - 1) * within
    return float(np.clip((between - within) / spread, 0, 1)) if spread > 0 else 1.0
