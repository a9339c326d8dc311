"""A system evaluation runs every attempt through the door's own decision, and drops nothing silently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import open_pictures
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box, Face
from ostiary.faces.quality import QualityLimits
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import Likenesses, Shot
from ostiary.gate.policy import Policy
from ostiary.metrics.system import system_rates
from ostiary.reports.system import evaluate_system
from ostiary.reports.system_door import temporary_door
from ostiary.reports.system_page import render, system_table
from ostiary.reports.system_run import columns, read_transactions
from ostiary.reports.system_trials import ListedPicture, Person, TrialList, build_trials

PEOPLE = 6
ATTACKS = {"print": 60, "phone": 200}
"""Blue of a picture is its liveness: prints are caught, phones are not."""


def _picture(person: int, blue: int) -> Image.Image:
    """Red says who it is, blue how alive."""
    return Image.new("RGB", (32, 32), (40 * person + 20, 128, blue))


@pytest.fixture
def site(tmp_path: Path) -> tuple[Index, Path]:
    """Of each person two recordings of three pictures, and two attacks of each species; one has no attack."""
    folder, samples = tmp_path / "pictures", []
    folder.mkdir()
    for person in range(PEOPLE):
        for capture in ("monday", "tuesday"):
            for take in range(3):
                path = f"{person}_{capture}_{take}.png"
                _picture(person, 230).save(folder / path)
                samples.append(Sample(path, "bona_fide", "", f"p{person}", "test", "door", f"{person}{capture}"))
        for species, blue in ATTACKS.items() if person else ():
            for take in range(2):
                path = f"{person}_{species}_{take}.png"
                _picture(person, blue).save(folder / path)
                samples.append(Sample(path, "attack", species, f"p{person}", "test", "door"))
    return Index(samples), folder


@dataclass(frozen=True)
class Said:
    accepted: bool
    reason: str
    outcomes: dict[Any, Any]


@dataclass
class ColourDoor:
    """Accepts who is as red as the enrolled, and as blue as the living."""

    people: dict[str, int] = field(default_factory=dict)
    refuses: Sequence[str] = ()

    def enrol(self, person: str, pictures: Sequence[NDArray[np.uint8]]) -> str | None:
        if person in self.refuses:
            return "no_face"
        self.people[person] = int(pictures[0][0, 0, 0])
        return None

    def decide(self, person: str, picture: NDArray[np.uint8]) -> Said:
        red, _, blue = (int(value) for value in picture[0, 0])
        stages = {
            "liveness": "passed" if blue >= 128 else "failed",
            "matching": "passed" if red == self.people[person] else "failed",
        }
        if blue == 0:
            return Said(False, "no_face", {"detection": "failed"})
        refused = [stage for stage, outcome in stages.items() if outcome == "failed"]
        return Said(not refused, refused[0] if refused else "accepted", stages)


def test_a_list_from_an_index_enrols_one_recording_and_probes_with_the_other(site: tuple[Index, Path]) -> None:
    trials, left_out = build_trials(site[0], enrolled=2)
    assert left_out == {}
    assert trials.enrolment[Person("door", "p3")] == ("3_monday_0.png", "3_monday_2.png")
    probes = [row.image for row in trials if row.role == "bona_fide"]
    assert len(probes) == 3 * PEOPLE
    assert all("tuesday" in image for image in probes)
    kinds = [attempt.kind for attempt in trials.attempts(impostors=2)]
    assert [kinds.count(kind) for kind in ("mated", "non_mated", "attack")] == [18, 2 * 6 * 5, 2 * 2 * 5]


def test_no_attempt_mixes_people_or_data_sets(site: tuple[Index, Path]) -> None:
    other = Index(
        Sample(f"x/{s.path}", s.label, s.species, s.subject, s.split, "mall", s.capture) for s in site[0]
    )
    attempts = list(build_trials(Index.concatenate([site[0], other])).trials.attempts())
    for attempt in attempts:
        assert attempt.enrolled.dataset == attempt.presented.dataset
        assert (attempt.enrolled == attempt.presented) == (attempt.kind != "non_mated")
        assert attempt.image.startswith("x/") == (attempt.enrolled.dataset == "mall")
    assert len(set(attempts)) == len(attempts)


def test_people_with_one_recording_are_impostors_only() -> None:
    samples = [Sample(f"a{n}.png", "bona_fide", "", "ann", "", "door", f"a{n // 2}") for n in range(4)]
    samples += [Sample("b.png", "bona_fide", "", "ben", "", "door", "b"), Sample("c.png", "bona_fide")]
    samples += [Sample("d.png", "attack", "print", "ben", "", "door")]
    trials, left_out = build_trials(Index(samples))
    assert left_out == {"attack_on_nobody_enrolled": 1, "no_subject": 1}
    assert list(trials.enrolment) == [Person("door", "ann")]
    assert [(a.kind, a.presented.subject) for a in trials.attempts()] == [
        ("mated", "ann"), ("mated", "ann"), ("non_mated", "ben"),
    ]  # fmt: skip
    with pytest.raises(DataIndexError, match="two bona fide recordings"):
        build_trials(Index(samples[4:]))


def test_a_list_survives_its_file(site: tuple[Index, Path], tmp_path: Path) -> None:
    trials = build_trials(site[0]).trials
    trials.write_csv(tmp_path / "trials.csv")
    assert TrialList.read_csv(tmp_path / "trials.csv") == trials


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("probe,ann,x.png,,door", "line 3: unknown role"),
        ("attack,,x.png,,door", "line 3: the subject is empty"),
        ("bona_fide,ann,x.png,print,door", "line 3: species 'print' given"),
        ("bona_fide,ann,e.png,,door", "enrolled and also presented"),
    ],
)
def test_wrong_lists_name_the_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "trials.csv"
    path.write_text(f"role,subject,image,species,dataset\nenrol,ann,e.png,,door\n{line}\n")
    with pytest.raises(DataIndexError, match=said):
        TrialList.read_csv(path)
    path.write_text("role,subject,image\nbona_fide,ann,x.png\n")
    with pytest.raises(DataIndexError, match="nobody is enrolled"):
        TrialList.read_csv(path)


def test_the_report_counts_what_the_door_said(site: tuple[Index, Path], tmp_path: Path) -> None:
    index, folder = site
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out"
    report = evaluate_system(
        build_trials(index).trials, open_pictures(folder), ColourDoor(), out, header={"command": "test"},
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert (report["frr"], report["far"], report["iapar"]) == (0, 0, {"phone": 1, "print": 0})
    assert (report["worst_species"], report["iapar_max"], report["riapar_max"]) == ("phone", 1, 1)
    assert report["errors"]["iapar"] == {"phone": [10, 10], "print": [0, 10]}
    assert report["reasons"]["attack"] == {"liveness": 10, "accepted": 10}
    assert report["intervals"]["far"][1] > 0.4, "six people bear no small FAR, however many attempts"
    assert seen[-1] == (98, 98)
    assert json.loads((out / "report.json").read_text()) == report
    assert {path.name for path in out.iterdir()} == {"report.json", "report.md", "transactions.csv", "trials.csv"}


def test_the_written_transactions_give_the_same_rates(site: tuple[Index, Path], tmp_path: Path) -> None:
    report = evaluate_system(build_trials(site[0]).trials, open_pictures(site[1]), ColourDoor(), tmp_path / "out")
    again = system_rates(columns(read_transactions(tmp_path / "out" / "transactions.csv")))
    assert again.frr is not None
    assert again.frr.value == report["frr"]
    assert {name: rate.value for name, rate in again.iapar.items()} == report["iapar"]
    assert [again.iapar["print"].interval.low, again.iapar["print"].interval.high] == (
        report["intervals"]["iapar"]["print"]
    )


def test_nothing_is_dropped_silently(site: tuple[Index, Path], tmp_path: Path) -> None:
    index, folder = site
    _picture(2, 0).save(folder / "2_tuesday_0.png")
    (folder / "3_tuesday_1.png").write_bytes(b"no picture")
    report = evaluate_system(
        build_trials(index).trials, open_pictures(folder), ColourDoor(refuses=["door/p5"]), tmp_path / "out",
        left_out={"no_subject": 4},
    )  # fmt: skip
    assert report["enrolment"] == {"people": 6, "failed": 1, "reasons": {"no_face": 1}}
    assert report["n_mated"] == 15
    assert report["frr"] == 2 / 15
    assert report["no_answer"]["mated"] == 2 / 15
    assert report["reasons"]["mated"] == {"accepted": 13, "no_face": 1, "unreadable": 1}
    notes = " ".join(report["notes"])
    assert "1 of 6 people could not be enrolled" in notes
    assert "4 pictures were left out" in notes
    assert "Only 6 people" in notes


def test_a_door_that_nobody_can_enter_and_pictures_that_are_missing(
    site: tuple[Index, Path], tmp_path: Path
) -> None:
    trials, pictures = build_trials(site[0]).trials, open_pictures(site[1])
    nobody = ColourDoor(refuses=[f"door/p{person}" for person in range(PEOPLE)])
    with pytest.raises(DataIndexError, match=r"Nobody of the list could be enrolled \(no_face 6\)"):
        evaluate_system(trials, pictures, nobody, tmp_path / "out")
    more = TrialList([*trials, ListedPicture("bona_fide", "p0", "none.png", "", "door")])
    with pytest.raises(DataIndexError, match=r"the first is 'none\.png'"):
        evaluate_system(more, pictures, ColourDoor(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_page_and_the_table_show_every_data_set(site: tuple[Index, Path], tmp_path: Path) -> None:
    index, folder = site
    mall = Index(Sample(s.path, s.label, s.species, s.subject, s.split, "mall", s.capture) for s in index)
    trials = build_trials(Index.concatenate([index, mall])).trials
    report = evaluate_system(trials, open_pictures(folder), ColourDoor(), tmp_path / "out")
    assert set(report["datasets"]) == {"door", "mall"}
    page = render(report)
    assert "| phone | mall | 10 | 5 | 100.00 % (" in page
    assert "| another person | 120 | 0.00 %" in page
    assert system_table(report).row_count == 3


class WholePicture:
    """Finds one face in every picture, as wide as it is."""

    def detect(self, image: NDArray[np.uint8], /) -> list[Face]:
        points = np.array([(8, 8), (24, 8), (16, 16), (10, 24), (22, 24)], np.float32)
        return [Face(Box(0, 0, 32, 32), points, 0.9)]


class BlueLiveness:
    configuration = "HHH"
    problems = ()

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        return [Measured(float(pixels[0, 0, 2]) / 255, 0.5) for _ in faces]


@dataclass(frozen=True)
class Reds:
    reds: list[int]

    def compare(self, probe: NDArray[np.generic]) -> Likenesses:
        away = np.abs(np.array(self.reds, np.float64) - float(probe[0]))
        return Likenesses(1 - away / 255, np.full(len(self.reds), 0.95))


class RedMatcher:
    kind, model, preprocess_hash, problems = "embedding", "a" * 64, "b" * 64, ()
    false_match_rate = 1e-3

    def probe(self, shot: Shot) -> NDArray[np.generic]:
        return np.array([shot.pixels[0, 0, 0]])

    def template(self, shots: Sequence[Shot]) -> bytes:
        return bytes([int(shots[0].pixels[0, 0, 0])])

    def people(self, templates: Sequence[Sequence[bytes]]) -> Reds:
        return Reds([own[0][0] for own in templates])


def test_the_gate_itself_is_such_a_door(site: tuple[Index, Path], tmp_path: Path) -> None:
    """Its own enrolment, vault and decision code give the counts that the colours make plain."""
    anything = QualityLimits(
        brightness=0, contrast=0, clipped=1, sharpness=0, beyond_border=1, yaw=90, pitch=90, roll=90
    )
    policy = Policy(quality=anything, smallest_face=0)
    with temporary_door(BlueLiveness(), RedMatcher(), policy=policy, detector=WholePicture()) as door:
        assert door.gate.policy.lockout is None
        report = evaluate_system(build_trials(site[0]).trials, open_pictures(site[1]), door, tmp_path / "out")
    assert (report["frr"], report["far"], report["iapar"]) == (0, 0, {"phone": 1, "print": 0})
    assert report["reasons"] == {
        "mated": {"accepted": 18},
        "non_mated": {"another_person": 60},
        "attack": {"presentation_attack": 10, "accepted": 10},
    }
    assert set(report["no_answer"].values()) == {0}
