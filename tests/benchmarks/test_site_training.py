"""Whom `benchmarks/site_training.py` gives to a site, and what is judged: never the same people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ostiary.data.index import Index, Sample
from ostiary.reports.scores import Scores
from site_table import rendered
from site_training import AS_IT_CAME, drawn, of, split


@pytest.fixture
def site() -> Index:
    """Twenty people, every second one with bona fide pictures alone; five of them test people."""
    samples = []
    for number in range(20):
        for label, species in (("bona_fide", ""), ("attack", "print_flat"))[: 1 + number % 2]:
            name, place = f"p{number}", "test" if number >= 15 else "train" if number % 3 else "development"
            samples.append(
                Sample(
                    path=f"{name}/{label}", label=label, species=species, subject=name, split=place, dataset="x"
                )
            )
    return Index(samples)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("people", [4, 9])
def test_both_halves_have_both_classes_and_no_test_person(site: Index, people: int, seed: int) -> None:
    names = drawn(site, people, seed)
    assert len(set(names)) == people
    assert names == drawn(site, people, seed)
    rows = split(site, names)
    assert {sample.subject for sample in rows} == set(names)
    assert not set(names) & {sample.subject for sample in site.select(split="test")}
    for part in ("train", "development"):
        assert {sample.label for sample in rows.select(split=part)} == {"bona_fide", "attack"}
    rows.check_disjoint()


def test_a_larger_site_holds_the_smaller_one(site: Index) -> None:
    random = np.random.default_rng(0)
    order = [str(one) for one in random.permutation(sorted({s.subject for s in site if s.split != "test"}))]
    assert drawn(site, 12, 0)[:4] == order[:4]


def test_scores_of_some_pictures_stay_with_their_rows(site: Index) -> None:
    rows = list(site)
    scores = Scores(tuple(rows), np.arange(len(rows)) / len(rows), tuple("" for _ in rows))
    chosen = {rows[3].path, rows[7].path}
    found = of(scores, chosen)
    assert [sample.path for sample in found.samples] == [rows[3].path, rows[7].path]
    assert found.liveness.tolist() == [3 / len(rows), 7 / len(rows)]


def test_the_table_has_means_over_draws_between_the_widest_ends() -> None:
    names = ("auc", "eer", "acer_pooled", "apcer_pooled", "bpcer")

    def row(what: str, value: float) -> dict[str, Any]:
        rates = {name: [value, value - 0.02, value + 0.03] for name in names}
        counts = {"n_bona_fide": 7, "n_attack": 9, "people": 3, "elsewhere": 0.5}
        return {"people": 4, "what": what, "words": {"HHH": rates | counts}}

    rows = [row(AS_IT_CAME, 0.4), row("trained on", 0.1), row("trained on", 0.2)]
    record = {"commit": "b" * 40, "site": "door", "judged": "test", "learnt": ["x", "y"], "rows": rows}
    page = rendered([record | {"start": "a" * 40, "start_epochs": 4}])
    assert "## door\n\nJudged on 7 bona fide pictures and 9 attacks of 3 test people." in page
    start, site = page.splitlines()[-2:]
    assert start.startswith(
        "| any | as it came | HHH | 0.400 (0.380 to 0.430) | 40.0 | 40.0 (38.0 to 43.0) | 40.0 |"
    )
    assert site == (
        "| 4 | trained on | HHH | 0.150 (0.080 to 0.230) | 15.0 | 15.0 (8.0 to 23.0) | 15.0 | 15.0 | 0.500 |"
    )
