"""What a reader must know before believing the numbers of a verification report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ostiary.metrics.verification import VerificationRates
from ostiary.metrics.verification_trials import Comparisons
from ostiary.reports.comparisons import ComparedPairs


def notes(compared: ComparedPairs, comparisons: Comparisons, rates: VerificationRates) -> Iterator[str]:
    """Sentences on what was left out, what is unknown, and what is too little.

    Args:
        compared: all pairs of the list.
        comparisons: those of them that could be compared.
        rates: what was found.

    """
    if compared.skipped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in compared.skipped.items())
        yield (
            f"{sum(compared.skipped.values()):,} of {len(compared.pairs):,} pairs were not compared ({reasons}). "
            "They are not part of the rates, which are better for it: a door does not let them in."
        )
    if not comparisons.both_classes:
        missing = "non-mated" if comparisons.same.any() else "mated"
        yield f"No {missing} pair could be compared: there is no accuracy, AUC, EER or FNMR at an FMR without."
        return
    if comparisons.people is None:
        yield (
            "The folders of the pictures do not tell whom they show: intervals treat every pair as independent, "
            "and are too narrow if a person is in several."
        )
    if rates.folds is None:
        yield "There are too few pairs for two folds, and so no accuracy."
    elif rates.folds.dealt:
        yield (
            "The list names no folds, or too few for both kinds of pairs to be outside of each: it was cut into "
            f"{len(rates.folds.folds)} stretches, and a person may be in several. Name folds that are disjoint in "
            "people."
        )
    else:
        shared = _people_in_several_folds(comparisons)
        if shared:
            yield (
                f"{shared:,} people are in more than one fold: thresholds are chosen in part on the people whom "
                "they judge."
            )
    for reading in rates.fnmr_at_fmr.values():
        if reading.remark:
            yield reading.remark
    repeated = len(compared.pairs) - len({frozenset((pair.path_a, pair.path_b)) for pair in compared.pairs})
    if repeated:
        yield f"{repeated:,} pairs are listed more than once; each counts."


def _people_in_several_folds(comparisons: Comparisons) -> int:
    if comparisons.people is None or comparisons.fold is None:
        return 0
    both = np.stack([comparisons.people.ravel(), np.repeat(comparisons.fold, 2)], axis=1)
    _, folds = np.unique(np.unique(both, axis=0)[:, 0], return_counts=True)
    return int((folds > 1).sum())
