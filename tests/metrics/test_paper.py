from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import RateError
from ostiary.metrics.paper import paper_rates
from ostiary.metrics.trials import Trials

N_ATTACK, N_BONA_FIDE = 47_247, 19_923
"""CelebA-Spoof's test pictures: attacks are 0.703 of them."""

TABLE_3 = {
    "stock": (96.74, 1.07, 4.18, 2.63),
    "HHH": (96.89, 0.72, 4.12, 2.42),
    "LHH": (96.84, 0.70, 4.20, 2.45),
    "HLH": (97.04, 0.80, 3.88, 2.34),
    "HHL": (97.83, 2.30, 2.11, 2.21),
    "LLL": (97.85, 2.53, 1.98, 2.26),
    "BBB": (97.49, 1.21, 3.05, 2.13),
}
"""accuracy, APCER, BPCER, ACER in per cent, under the paper's own headings."""


def test_hand_worked_row() -> None:
    # 4 live of which 1 is called spoof, 5 spoof of which 2 are called live
    trials = Trials.from_columns([0.9, 0.8, 0.7, 0.2, 0.1, 0.1, 0.3, 0.6, 0.5], [1] * 4 + [0] * 5)
    row = paper_rates(trials)
    assert row == pytest.approx((6 / 9, 1 / 4, 2 / 5, 0.325))
    assert (row.iso_bpcer, row.iso_apcer_pooled) == (row.paper_apcer, row.paper_bpcer)


@pytest.mark.parametrize("word", TABLE_3)
def test_the_published_accuracy_follows_from_our_reading_of_the_columns(word: str) -> None:
    accuracy, paper_apcer, paper_bpcer, acer = TABLE_3[word]
    refused, accepted = round(paper_apcer / 100 * N_BONA_FIDE), round(paper_bpcer / 100 * N_ATTACK)
    live = np.r_[np.zeros(refused), np.ones(N_BONA_FIDE - refused)]
    spoof = np.r_[np.ones(accepted), np.zeros(N_ATTACK - accepted)]
    genuine = np.r_[np.ones(N_BONA_FIDE, bool), np.zeros(N_ATTACK, bool)]
    row = paper_rates(Trials.from_columns(np.r_[live, spoof], genuine))
    assert 100 * row.accuracy == pytest.approx(accuracy, abs=0.02)
    assert 100 * row.acer == pytest.approx(acer, abs=0.011)
    as_printed = 100 - 0.703 * paper_apcer - 0.297 * paper_bpcer
    assert abs(as_printed - accuracy) > 0.05


def test_both_classes_are_needed() -> None:
    with pytest.raises(RateError):
        paper_rates(Trials.from_columns([0.3], [True]))
