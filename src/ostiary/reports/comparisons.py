"""The comparison file: what stands between an embedder and its error rates.

A CSV with a header, one row a pair::

    path_a,path_b,same,fold,similarity,group,reason

``similarity`` is in [0, 1], higher = more the same person. Where a pair could not be compared it is empty, and
``reason`` says why (``absent``, ``no_face``, ``unreadable``, ``wrong_size``). Only the paths, same and similarity
are required, so that anybody's comparisons can be judged by the same rules, and ours re-checked by others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.data.pairs import SAME, Pair
from ostiary.data.table import one_of, read_rows, write_rows
from ostiary.metrics.verification_trials import Comparisons
from ostiary.reports.embedded import EmbeddedPictures
from ostiary.reports.people import people_of_pairs
from ostiary.runtime.embedding import similarity

COLUMNS = ("path_a", "path_b", "same", "fold", "similarity", "group", "reason")
REQUIRED = ("path_a", "path_b", "same", "similarity")


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """N pairs with their similarity, float64 (N,) with NaN where there is none, and N reasons for that."""

    pairs: tuple[Pair, ...]
    similarity: NDArray[np.float64]
    reasons: tuple[str, ...]

    @property
    def used(self) -> NDArray[np.bool_]:
        """(N,): the pairs that were compared."""
        return np.array([not reason for reason in self.reasons], bool)

    @property
    def skipped(self) -> dict[str, int]:
        """How many pairs were not compared, by reason."""
        return dict(sorted(Counter(reason for reason in self.reasons if reason).items()))

    def comparisons(self) -> Comparisons:
        """The pairs that were compared; people as far as the folders of the whole list tell."""
        used, people = self.used, people_of_pairs(self.pairs)
        kept = [pair for pair, known in zip(self.pairs, used, strict=True) if known]
        return Comparisons.from_columns(
            self.similarity[used],
            [pair.same for pair in kept],
            [pair.fold for pair in kept],
            None if people is None else [both for both, known in zip(people, used, strict=True) if known],
            [pair.group for pair in kept],
        )


def compare_pairs(pairs: Sequence[Pair], embedded: EmbeddedPictures, *, flip: bool = False) -> ComparedPairs:
    """The similarity of every pair both of whose pictures have an embedding.

    Args:
        pairs: what to compare.
        embedded: the embeddings of all pictures that the pairs name.
        flip: take the means with the mirror images, which must be there.

    """
    vectors = embedded.mirrored if flip else embedded.plain
    assert vectors is not None, "the embeddings were asked for without the mirror images"
    missing = embedded.reasons
    reasons = tuple(missing.get(pair.path_a) or missing.get(pair.path_b, "") for pair in pairs)
    used = [place for place, reason in enumerate(reasons) if not reason]
    values = np.full(len(reasons), np.nan)
    if used:
        first, second = (
            vectors[[embedded.row[path] for path in paths]]
            for paths in zip(*((pairs[place].path_a, pairs[place].path_b) for place in used), strict=True)
        )
        values[used] = similarity(first, second)
    return ComparedPairs(tuple(pairs), values, reasons)


def write_comparisons(compared: ComparedPairs, path: Path) -> None:
    """Write a comparison file. Similarities keep every digit, so that a threshold decides the same after reading.

    Raises:
        DataIndexError: it cannot be written there.

    """
    rows = (
        (
            pair.path_a,
            pair.path_b,
            int(pair.same),
            "" if pair.fold is None else pair.fold,
            "" if reason else repr(float(value)),
            pair.group,
            reason,
        )
        for pair, value, reason in zip(compared.pairs, compared.similarity, compared.reasons, strict=True)
    )
    write_rows(path, COLUMNS, rows)


def read_comparisons(path: Path) -> ComparedPairs:
    """Read a comparison file.

    Raises:
        DataIndexError: it is no CSV, lacks a column, or a line has a similarity that is no number in [0, 1], or
            neither similarity nor reason.

    """
    optional = [name for name in COLUMNS if name not in REQUIRED]
    rows = read_rows(path, _row, REQUIRED, what="comparisons", optional=optional)
    pairs, values, reasons = zip(*rows, strict=True)
    return ComparedPairs(pairs, np.array(values, np.float64), reasons)


def _row(values: Mapping[str, str]) -> tuple[Pair, float, str]:
    same = one_of("same", values["same"].lower(), tuple(SAME))
    try:
        fold = int(values["fold"]) if values["fold"] else None
    except ValueError:
        raise ValueError(f"the fold is {values['fold']!r}; it must be a whole number, or empty") from None
    pair = Pair(values["path_a"], values["path_b"], SAME[same], fold, values["group"])
    if not values["path_a"] or not values["path_b"]:
        raise ValueError("a path is empty; name both pictures")
    text, reason = values["similarity"], values["reason"]
    if bool(text) == bool(reason):
        raise ValueError("needs either a similarity, or a reason why there is none")
    return pair, _similarity(text) if text else float("nan"), reason


def _similarity(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"the similarity is {text!r}; it must be a number in [0, 1], or empty") from None
    if not 0 <= value <= 1:
        raise ValueError(f"the similarity is {text}; it must lie in [0, 1], higher = more the same person")
    return value
