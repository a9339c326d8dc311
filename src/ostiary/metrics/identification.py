"""What a false match rate of single comparisons comes to when a face is compared with everybody (1:N).

A stranger is taken for somebody if any of N comparisons is a false match. If these were independent, that would
happen with probability 1 - (1 - FMR)^N (the false positive identification rate, FPIR, of ISO/IEC 19795-1). They
are not quite, since a face that resembles one person resembles that person's relatives. But on average over people
FPIR is never above N * FMR, and while that is small the two hardly differ.
"""

from __future__ import annotations

import math

from ostiary.errors import RateError


def fpir(fmr: float, people: int) -> float:
    """Share of strangers who are taken for somebody among ``people``.

    Raises:
        RateError: a rate outside of [0, 1], or fewer than one person.

    """
    _check(fmr, people, 0 <= fmr <= 1)
    return 1.0 if fmr == 1 else -math.expm1(people * math.log1p(-fmr))


def fmr_for(wanted: float, people: int) -> float:
    """The FMR of single comparisons at which ``wanted`` is the FPIR among ``people``.

    Raises:
        RateError: a rate outside of (0, 1), or fewer than one person.

    """
    _check(wanted, people, 0 < wanted < 1)
    return -math.expm1(math.log1p(-wanted) / people)


def _check(rate: float, people: int, fits: bool) -> None:
    if not fits:
        raise RateError(f"A rate of {rate} makes no sense here: give a share between 0 and 1, such as 0.01.")
    if people < 1:
        raise RateError(f"Nobody can be found among {people} people: give 1 or more.")
