"""A face study on drawn patterns: it runs once, becomes a table, and refuses what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pairs import Pair, Pairs
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, InputError
from ostiary.study.face_cell import FaceMaterials, FaceWork
from ostiary.study.face_plan import FaceStudy, read_face_study
from ostiary.study.face_table import render_face_study
from ostiary.study.runner import run_study

STUDIES = Path(__file__).parents[2] / "studies" / "face"
PEOPLE, PICTURES = 16, 4

PLAN = """
name = "patterns"
baseline = "cosine"

[arms.cosine]
recipe = "few_people"
without = ["teaching"]
[arms.cosine.change]
network = "seesaw_share"
dimension = 16
epoch_pictures = 16
held_out = 0.4
margin = { kind = "cosface" }
schedule = { epochs = 1, batch = 8, warmup_steps = 0 }

[arms.angle]
like = "cosine"
change = { margin = { kind = "arcface" } }

[arms.others]
peers = ["sface"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patterns")
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        pattern = rng.uniform(0, 255, (7, 7, 3))
        (folder / f"{person:02}").mkdir()
        for number in range(PICTURES):
            noisy = (pattern + rng.normal(0, 15, pattern.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((112, 112)).save(folder / f"{person:02}" / f"{number}.png")
    (folder / "patterns.toml").write_text(PLAN)
    return folder


@pytest.fixture(scope="module")
def study(folder: Path) -> FaceStudy:
    return read_face_study(folder / "patterns.toml")


def work(study: FaceStudy, folder: Path, runs: Path) -> FaceWork:
    """Twelve people to learn from; pairs of the four others."""
    portraits = [
        Portrait(f"{person:02}/{number}.png", f"{person:02}", "train", "patterns")
        for person in range(12)
        for number in range(PICTURES)
    ]
    names = [f"{person:02}/{number}.png" for person in range(12, 16) for number in range(PICTURES)]
    pairs = [Pair(a, b, a[:2] == b[:2], place % 2) for place, a in enumerate(names) for b in names[place + 1 :]]
    materials = FaceMaterials(
        IdentityIndex(portraits), open_pictures(folder), Pairs(pairs), runs, accelerator="cpu"
    )
    return FaceWork(study, materials)


def test_a_face_study_runs_once_and_becomes_a_table(study: FaceStudy, folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        left = run_study(
            work(study, folder, tmp_path / "runs"),
            tmp_path / "results",
            arms=("cosine", "angle"),
            report=lambda cell, what: said.append(f"{cell.name} {what}"),
        )
        assert left == 0
    assert said == [
        "cosine-0 begins",
        "cosine-0 done",
        "angle-0 begins",
        "angle-0 done",
        "cosine-0 done before",
        "angle-0 done before",
    ]
    record = json.loads((tmp_path / "results/patterns/angle-0.json").read_text())
    assert (record["plain"]["n_mated"], record["plain"]["n_non_mated"]) == (24, 96)
    assert record["training"]["recipe"]["margin"]["kind"] == "arcface"
    assert record["training"]["recipe"]["teaching"] is None, "what the arm goes without that it is like"
    low, high = record["flip"]["accuracy"][1:]
    assert 0 <= low <= high <= 1
    text = render_face_study(study, tmp_path / "results", tmp_path / "runs", Path("patterns.toml"))
    assert "2 of 3 cells are done" in " ".join(text.split())
    assert text.count("| angle |") == 3  # plain, mirrored, the difference
    assert "FNMR % at FMR 1e-3, held-out people" in text
    with pytest.raises(InputError, match="--peers"):
        run_study(work(study, folder, tmp_path / "runs"), tmp_path / "results", arms=("others",))


def test_a_cell_knows_what_decides_it(study: FaceStudy, folder: Path, tmp_path: Path) -> None:
    first, second, peers = (work(study, folder, tmp_path).fingerprint(cell) for cell in list(study.cells()))
    assert len({first, second, peers}) == 3
    longer = PLAN.replace("epochs = 1", "epochs = 2")
    (tmp_path / "longer.toml").write_text(longer)
    changed = [
        work(read_face_study(tmp_path / "longer.toml"), folder, tmp_path).fingerprint(cell)
        for cell in list(study.cells())
    ]
    assert changed[0] != first
    assert changed[2] == peers


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('like = "cosine"', 'like = "sine"', "no arm with a recipe"),
        ('without = ["teaching"]', 'without = ["network"]', "only margin, teaching and watcher"),
        ('without = ["teaching"]\n[arms', "[arms", None),
        ('kind = "cosface"', 'kind = "sineface"', "margin.kind"),
        ('baseline = "cosine"', 'baseline = "sine"', "baseline"),
        ('peers = ["sface"]', 'peers = ["sface"]\nwithout = ["margin"]', "peers are not trained"),
    ],
)
def test_plans_that_cannot_be_are_refused(old: str, new: str, message: str | None, tmp_path: Path) -> None:
    assert old in PLAN
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(old, new, 1))
    if message is None:
        assert read_face_study(path).recipe("cosine").teaching is not None  # type: ignore[union-attr]
        return
    with pytest.raises(ConfigurationError, match=message):
        read_face_study(path)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_face_studies_of_the_house_can_be_read(path: Path) -> None:
    study = read_face_study(path)
    assert study.name == path.stem
    names = [cell.name for cell in study.cells()]
    assert len(set(names)) == len(names) > 0
