"""The PTA paper's own columns, for the reproduction table and nothing else.

Khabarlak 2022 counts spoof as positive and prints ``APCER = FP/(FP+TN)`` and ``BPCER = FN/(FN+TP)``
(equations 2 and 3). A false positive is then a live face called spoof: the paper's APCER column is the
BPCER of ISO/IEC 30107-3, and its BPCER column is the (pooled) APCER. Wherever these numbers
are shown, the ISO names stand beside them. Everything else in ostiary uses ``pad.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from ostiary.errors import RateError
from ostiary.metrics.trials import Trials


class PaperRates(NamedTuple):
    """One row of the paper's table 3, as shares.

    ``paper_apcer`` is an error on live faces, ``paper_bpcer`` one on attacks.
    """

    accuracy: float
    paper_apcer: float
    paper_bpcer: float
    acer: float

    @property
    def iso_apcer_pooled(self) -> float:
        """Share of all attacks that were accepted."""
        return self.paper_bpcer

    @property
    def iso_bpcer(self) -> float:
        """Share of bona fide presentations that were refused."""
        return self.paper_apcer


def paper_rates(trials: Trials, threshold: float = 0.5) -> PaperRates:
    """The paper's columns of the answered trials; argmax of two classes is a threshold of 0.5.

    Raises:
        RateError: bona fide presentations or attacks are missing.

    """
    given = trials.select(trials.answered)
    accepted = given.liveness >= threshold
    live, spoof = given.bona_fide, ~given.bona_fide
    if not live.any() or not spoof.any():
        raise RateError("The paper's table needs both live and spoof pictures; one of them is missing.")
    live_called_spoof = int((live & ~accepted).sum())
    spoof_called_live = int((spoof & accepted).sum())
    apcer = live_called_spoof / int(live.sum())
    bpcer = spoof_called_live / int(spoof.sum())
    correct = len(given) - live_called_spoof - spoof_called_live
    return PaperRates(correct / len(given), apcer, bpcer, (apcer + bpcer) / 2)
