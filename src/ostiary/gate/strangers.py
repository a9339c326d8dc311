"""How often a stranger is taken for somebody, where a face is looked for among many.

Each person who is enrolled is one more chance of a false match (ISO/IEC 19795-1: the false positive identification
rate). Comparisons count as independent here, which makes the figure an upper estimate where people look alike.
"""

from __future__ import annotations

HIGHEST = 0.05
"""A rate above which it is said."""


def false_positive_identification_rate(false_match_rate: float, people: int) -> float:
    """Share of strangers who match at least one of so many people."""
    return 1 - float((1 - false_match_rate) ** people)
