"""Sampling: even where it says even, and a function of seed and epoch alone."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ostiary.data.index import Sample
from ostiary.training.sampling import balanced, shuffled


def samples() -> list[Sample]:
    """A large set of few people, a small one of many; a common species and a rare one."""
    rows = [Sample(f"l{i}", "bona_fide", subject=f"s{i % 3}", dataset="large") for i in range(600)]
    rows += [Sample(f"a{i}", "attack", "replay", f"s{i % 3}", dataset="large") for i in range(300)]
    rows += [Sample(f"p{i}", "attack", "print", f"s{i % 3}", dataset="large") for i in range(6)]
    rows += [Sample(f"m{i}", "bona_fide", subject=f"t{i}", dataset="many") for i in range(48)]
    rows += [Sample(f"n{i}", "attack", "replay", f"t{i}", dataset="many") for i in range(48)]
    return rows


def test_balanced_draws_are_even_over_labels_and_species() -> None:
    rows = samples()
    chosen = [rows[i] for i in balanced(rows, 4000, seed=0, epoch=0)]
    assert Counter(s.label for s in chosen) == {"bona_fide": 2000, "attack": 2000}
    large = Counter(s.species for s in chosen if s.dataset == "large" and s.label == "attack")
    assert 0.85 < large["print"] / large["replay"] < 1.18
    shares = Counter(s.dataset for s in chosen)
    # 48 people against 3: the fourth root of 16 is 2.
    assert 1.8 < shares["many"] / shares["large"] < 2.2


def test_shuffled_takes_every_picture_once_and_then_again() -> None:
    rows = samples()
    assert sorted(shuffled(rows, len(rows), 0, 0)) == list(range(len(rows)))
    twice = Counter(shuffled(rows, 2 * len(rows), 0, 0).tolist())
    assert set(twice.values()) == {2}


def test_seed_and_epoch_decide() -> None:
    rows = samples()
    for draw in (balanced, shuffled):
        assert np.array_equal(draw(rows, 64, 1, 2), draw(rows, 64, 1, 2))
        assert not np.array_equal(draw(rows, 64, 1, 2), draw(rows, 64, 1, 3))
        assert not np.array_equal(draw(rows, 64, 1, 2), draw(rows, 64, 2, 2))
