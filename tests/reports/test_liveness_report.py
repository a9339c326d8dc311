from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ostiary.data.index import Sample
from ostiary.reports.liveness_report import build_report
from ostiary.reports.markdown import render
from ostiary.reports.plots import draw_plots, pareto_front, pick
from ostiary.reports.scores import Scores, ScoreTable
from ostiary.runtime.liveness_record import Threshold

STORED = Threshold(
    value=0.5, target="apcer_max<=0.05", rate=0.05, n_bona_fide=9, n_attack=70, data="dev", warning="Few."
)
SAMPLES = tuple(
    Sample(f"{data}{person}{kind}{take}", "attack" if kind else "bona_fide", kind, str(person), "test", data)
    for data in ("one", "two")
    for person in range(8)
    for kind in ("", "print", "replay")
    for take in range(3)
)


def _table(words: tuple[str, ...] = ("HHH", "LLL"), samples: tuple[Sample, ...] = SAMPLES) -> ScoreTable:
    generator = np.random.default_rng(0)
    genuine = np.array([sample.label == "bona_fide" for sample in samples])

    def scores() -> Scores:
        liveness = np.clip(np.where(genuine, 0.7, 0.35) + generator.normal(0, 0.15, len(samples)), 0, 1)
        liveness[0] = np.nan
        return Scores(samples, liveness, ("no_face",) + ("",) * (len(samples) - 1))

    return ScoreTable({word: scores() for word in words})


def test_plain_numbers_and_their_intervals() -> None:
    report = build_report(_table(), {"HHH": STORED, "LLL": 0.4}, {"command": "test"})
    found = report["configurations"]["HHH"]
    assert (found["n_bona_fide"], found["n_attack"], found["threshold"]) == (47, 96, 0.5)
    assert found["n_bona_fide"] == SAMPLES.__len__() // 3 - 1
    assert set(found["apcer"]) == {"print", "replay"}
    assert set(found["bpcer_at_apcer"]) == {"0.01", "0.05", "0.10"}
    assert found["apcer_max"] == max(found["apcer"].values())
    assert found["acer_pooled"] == pytest.approx((found["apcer_pooled"] + found["bpcer"]) / 2)
    for name in ("auc", "eer", "accuracy", "apcer_max", "apcer_pooled", "bpcer", "acer_pooled"):
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
    assert found["intervals"]["apcer"]["print"][0] <= found["apcer"]["print"]
    assert found["reasons"] == {"no_face": 1}
    assert found["bpnrr"] == pytest.approx(1 / 48)
    assert found["threshold_origin"]["data"] == "dev"
    assert not found["readings"]["0.01"]["supported"]
    assert report["configurations"]["LLL"]["threshold_origin"] == {"from": "given by hand", "value": 0.4}
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_each_data_set_on_its_own() -> None:
    found = build_report(_table(), {"HHH": 0.5, "LLL": 0.5}, {})["configurations"]["HHH"]
    assert set(found["datasets"]) == {"one", "two"}
    parts = found["datasets"].values()
    assert sum(part["n_attack"] for part in parts) == found["n_attack"]
    assert sum(part["errors"]["bpcer"][0] for part in parts) == found["errors"]["bpcer"][0]
    only = tuple(sample for sample in SAMPLES if sample.dataset == "one")
    assert "datasets" not in build_report(_table(("HHH",), only), {}, {})["configurations"]["HHH"]


def test_few_people_have_the_careful_interval_too() -> None:
    found = build_report(_table(("HHH",)), {"HHH": 0.5}, {})["configurations"]["HHH"]
    low, high = found["intervals_over_people"]["bpcer"]
    assert high - low > found["intervals"]["bpcer"][1] - found["intervals"]["bpcer"][0]


@pytest.mark.parametrize("label", ["bona_fide", "attack"])
def test_one_class(label: str, tmp_path: Path) -> None:
    table = _table(("HHH",), tuple(sample for sample in SAMPLES if sample.label == label))
    report = build_report(table, {"HHH": 0.5}, {})
    found = report["configurations"]["HHH"]
    assert found["auc"] is found["eer"] is found["acer_pooled"] is None
    assert (found["bpcer"] is None) == (label == "attack")
    assert (found["apcer_max"] is None) == (label == "bona_fide")
    assert found["bpcer_at_apcer"] == {}
    json.dumps(report, allow_nan=False)
    plots = draw_plots(table, report, tmp_path)
    assert plots == ["scores_HHH.png"]
    assert "HHH" in render(report, plots)


def test_notes_say_what_a_reader_must_know() -> None:
    mixed = (
        Sample("a", "bona_fide", "", "", "train", "one"),
        Sample("b", "attack", "print", "", "development", "one"),
        Sample("b", "attack", "print", "", "test", "one"),
    )
    notes = " ".join(build_report(_table(("HHH", "LLL"), mixed), {"HHH": 0.5}, {})["notes"])
    for words in ("train split", "development split", "another row names", "subject", "No threshold for LLL"):
        assert words in notes
    assert build_report(_table(), {"HHH": STORED, "LLL": STORED}, {})["notes"] == []
    by_hand = build_report(_table(), {"HHH": 0.5, "LLL": 0.5}, {})["notes"]
    assert any("One threshold was given" in note for note in by_hand)


def test_page_for_people() -> None:
    report = build_report(_table(), {"HHH": STORED}, {"command": "ostiary evaluate", "model": {"name": "x"}})
    page = render(report, ["det.png"])
    for words in (
        "# Liveness on one, two",
        "| HHH | two | 0.5 |",
        "apcer_max<=0.05 on dev (9 bona fide, 70 attacks). Few.",
        "| LLL | - | none given |",
        "no_face 1",
        "48 attacks of the rarest species (print) can show no rate below 6.2 %",
        "![det.png](det.png)",
        "> **Note.** No threshold for LLL",
    ):
        assert words in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_names_from_files_cannot_break_the_tables() -> None:
    samples = tuple(
        Sample(s.path, s.label, s.species and f"{s.species}|\nx", s.subject, s.split, "") for s in SAMPLES
    )
    page = render(build_report(_table(("HHH",), samples), {"HHH": 0.5}, {}))
    assert "print\\| x" in page
    assert "unnamed data" in page


def test_plots_of_few_and_of_many_configurations(tmp_path: Path) -> None:
    words = tuple(a + b for a in "LHB" for b in "LHB")
    cost = {
        "measure": "cost",
        "by_configuration": {word: 1 + word.count("B") - word.count("L") / 2 for word in words},
    }
    table = _table(words)
    report = build_report(table, dict.fromkeys(words, 0.5), {"default_configuration": "HH"}, cost=cost)
    picked = pick(report)
    assert {"LL", "HH", "BB"} <= set(picked)
    assert len(picked) <= 6
    names = draw_plots(table, report, tmp_path)
    assert names == ["det.png", *(f"scores_{word}.png" for word in picked), "error_against_cost.png"]
    assert all((tmp_path / name).stat().st_size > 5000 for name in names)


def test_pareto_front() -> None:
    points = {"a": (1.0, 5.0), "b": (2.0, 6.0), "c": (2.0, 3.0), "d": (3.0, 3.0), "e": (4.0, 1.0)}
    assert pareto_front(points) == ["a", "c", "e"]
