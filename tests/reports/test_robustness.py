from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.reports.degradations import AXES, CLEAN
from ostiary.reports.robustness import (
    Condition,
    build_robustness,
    degraded_scores,
    evaluate_robustness,
    evenly,
)
from ostiary.reports.robustness_page import worst_case
from ostiary.reports.scoring import score
from ostiary.runtime.liveness_record import Threshold

LIGHT, BLUR = AXES[2], AXES[4]
LEVELS = sum(len(axis.levels) for axis in AXES)


@pytest.fixture
def model(grey_model: Any) -> type:
    """The grey model with its stored threshold, as the runtime gives it."""

    class WithThreshold(grey_model):  # type: ignore[misc]
        def threshold(self, word: str) -> Threshold:
            found = self.metadata.configurations.get(word)
            if found is None or found.threshold is None:
                raise ConfigurationError(f"no threshold for {word}")
            return found.threshold

    return WithThreshold


def test_unchanged_pictures_have_the_scores_of_an_ordinary_evaluation(model: Any, make_data: Any) -> None:
    index, folder = make_data(2)
    pictures = open_pictures(folder)
    found = degraded_scores(index, pictures, model(), ["H", "L"])
    assert len(found) == 1 + LEVELS
    ordinary = score(index, pictures, model(), ["H", "L"])
    for word in ("H", "L"):
        clean = found[Condition()].configurations[word]
        np.testing.assert_array_equal(clean.liveness, ordinary.configurations[word].liveness)
        assert clean.samples == ordinary.configurations[word].samples


def test_less_light_refuses_people_and_more_light_lets_attacks_in(model: Any, make_data: Any) -> None:
    index, folder = make_data(6)
    scores = degraded_scores(index, open_pictures(folder), model(), ["H"], [LIGHT, BLUR])
    report = build_robustness(scores, {"H": 0.6}, {"command": "test"})
    rows = {(row["axis"], row["level"]): row for row in report["rows"]}
    assert len(rows) == len(report["rows"]) == 1 + len(LIGHT.levels) + len(BLUR.levels)
    assert rows[CLEAN, None]["bpcer"] == 0
    dark, bright = rows["brightness", -4], rows["brightness", 2]
    assert (dark["bpcer"], dark["apcer_max"]) == (1, 0)
    assert (bright["bpcer"], bright["apcer_max"]) == (0, 1)
    assert rows["blur", 0.04]["bpcer"] == 0  # one grey level stays itself
    for row in rows.values():
        assert row["intervals"]["auc"][0] <= row["auc"] <= row["intervals"]["auc"][1]
    assert "of the people are refused" in report["worst"]["H"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_picture_that_cannot_be_read_is_counted_and_not_judged(model: Any, make_data: Any) -> None:
    index, folder = make_data(2)
    (folder / index[0].path).write_bytes(b"no picture")
    scores = degraded_scores(index, open_pictures(folder), model(), ["H"], [BLUR])
    assert all(table.configurations["H"].reasons[0] == "unreadable" for table in scores.values())
    report = build_robustness(scores, {"H": 0.6}, {})
    assert report["header"]["without_answer"] == {"unreadable": 1}
    assert {row["n_bona_fide"] for row in report["rows"]} == {3}


def test_where_the_index_has_no_box_the_unchanged_picture_is_searched_once(model: Any, make_data: Any) -> None:
    index, folder = make_data(1)
    seen = []

    class Finder:
        def detect(self, image: np.ndarray) -> list[Any]:
            seen.append(image.mean())
            return []

    bare = Index(Sample(s.path, s.label, s.species, s.subject, s.split, s.dataset) for s in index)
    scores = degraded_scores(bare, open_pictures(folder), model(), ["H"], detector=Finder())
    assert len(seen) == len(index)
    assert set(scores[Condition()].configurations["H"].reasons) == {"no_face"}


def test_everything_lands_in_the_folder_and_is_the_same_again(
    model: Any, make_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ostiary.reports.robustness.LivenessModel", model)
    index, folder = make_data(3, ("one", "two"))
    index.write_csv(tmp_path / "index.csv")
    steps = []

    def run(out: Path) -> Any:
        csv = tmp_path / "index.csv"
        return evaluate_robustness([csv], [folder], out, axes=[BLUR], progress=lambda *step: steps.append(step))

    first = run(tmp_path / "a")
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        "robustness.json",
        "robustness.md",
        "robustness.png",
        "robustness_one.png",
        "robustness_two.png",
    }
    assert json.loads((tmp_path / "a" / "robustness.json").read_text()) == first
    assert [row["data"] for row in first["rows"]] == sorted(["all", "one", "two"] * (1 + len(BLUR.levels)))
    assert run(tmp_path / "b")["rows"] == first["rows"]
    assert ("scoring index", 24, 24) in steps
    page = (tmp_path / "a" / "robustness.md").read_text()
    assert first["worst"]["H"] in page
    assert "## H on two, threshold 0.6" in page
    assert "| a blur of 4.0% of the face |" in page


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"configurations": ["L"]}, ConfigurationError, "no threshold for L"),
        ({"split": "train"}, DataIndexError, "0 rows"),
        ({"limit": 0}, ConfigurationError, "positive"),
    ],
)
def test_wrong_requests_write_nothing(
    model: Any,
    make_data: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr("ostiary.reports.robustness.LivenessModel", model)
    index, folder = make_data(1)
    index.write_csv(tmp_path / "index.csv")
    with pytest.raises(error, match=message):
        evaluate_robustness([tmp_path / "index.csv"], [folder], tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 50))
def test_a_limited_index_keeps_its_order_and_the_shares_of_its_classes(
    genuine: int, fooled: int, limit: int
) -> None:
    index = Index(
        [Sample(f"a{i}", "attack", "print") for i in range(fooled)]
        + [Sample(f"b{i}", "bona_fide") for i in range(genuine)]
    )
    kept = evenly(index, limit)
    assert len(kept) == min(limit, len(index))
    assert [s for s in index if s in set(kept)] == list(kept)
    if len(index) > limit:
        assert abs(len(kept.select(label="attack")) - limit * fooled / len(index)) <= 1
    assert evenly(index, None) is index


def _row(axis: str, change: str, auc: float, apcer: float, bpcer: float) -> dict[str, Any]:
    return {
        "configuration": "H",
        "data": "one",
        "axis": axis,
        "change": change,
        "auc": auc,
        "apcer_max": apcer,
        "bpcer": bpcer,
    }


def test_the_worst_case_is_one_sentence() -> None:
    clean, blur = _row(CLEAN, "unchanged pictures", 0.98, 0.02, 0.03), _row("blur", "a blur", 0.7, 0.1, 0.5)
    dark = _row("brightness", "the dark", 0.9, 0.0, 0.9)
    assert worst_case([clean, blur], "H") == (
        "H tells people from attacks worst with a blur: AUC 0.700 instead of 0.980, and at the stored threshold "
        "10 % of the attacks of the worst species pass and 50 % of the people are refused."
    )
    assert worst_case([clean, blur, dark], "H").endswith(
        "; the stored threshold errs most with the dark, where 0 % of the attacks of the worst species pass and "
        "90 % of the people are refused."
    )
    assert worst_case([clean, _row("blur", "a blur", 0.99, 0.0, 0.0)], "H").startswith("No change of the pictures")
