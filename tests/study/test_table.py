"""Tables of records that are there already: what a data set has not is not counted."""

from __future__ import annotations

import json
from pathlib import Path

from ostiary.study.plan import read_study
from ostiary.study.table import render_study

PLAN = """
name = "kinds"
protocol = "unseen_species"
held_out = [["replay"]]
judged_on = ["test"]
words = ["HHH"]

[arms.ours]
recipe = "toy"
"""
BOTH = {
    "n_bona_fide": 10,
    "n_attack": 10,
    "people": 5,
    "auc": [0.9, 0.8, 1.0],
    "eer": [0.1, 0.0, 0.2],
    "acer_pooled": [0.2, 0.1, 0.3],
    "bpcer": [0.25, 0.1, 0.4],
}


def test_a_data_set_without_the_attack_has_a_row_and_no_share_in_the_mean(tmp_path: Path) -> None:
    plan = tmp_path / "kinds.toml"
    plan.write_text(PLAN)
    alone = {"n_bona_fide": 4, "n_attack": 0, "people": 2, "bpcer": [0.5, 0.0, 1.0]}
    record = {
        "study": "kinds",
        "fingerprint": "x",
        "commit": "abc",
        "configurations": {"HHH": {"threshold": {"value": 0.5}, "datasets": {"whole": BOTH, "prints": alone}}},
    }
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "ours-replay-0.json").write_text(json.dumps(record))
    page = render_study(read_study(plan), tmp_path, None, plan)
    prints = page.split("## prints")[1].split("\n## ")[0]
    assert "| ours | HHH | 1 | - | - | - | - | 50.0 (0.0 to 100.0) | 4 / 0, 2 |" in prints
    mean = page.split("## Mean over the judged data sets")[1]
    assert "| ours | HHH | 1 | 0.900 (0.800 to 1.000) | 10.0 (0.0 to 20.0) | 20.0 (10.0 to 30.0) |" in mean
