"""From a score file to a threshold that holds what was asked for, or to a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostiary.data.index import Sample
from ostiary.data.pairs import Pair
from ostiary.errors import ConfigurationError, RateError, WeightsError
from ostiary.faces.detector import Box, Face
from ostiary.gate.calibration import Calibration, ModelHashes, Operating, stored_operating
from ostiary.liveness import CheckedFace, ImageCheck
from ostiary.metrics.intervals import clopper_pearson, upper_limit
from ostiary.reports.calibrate import CalibratedModel, calibrate, open_model
from ostiary.reports.calibrate_site import site_calibration, site_scores
from ostiary.reports.calibration_page import calibration_lines
from ostiary.reports.comparisons import ComparedPairs, write_comparisons
from ostiary.reports.operating import Target
from ostiary.reports.scores import Scores, ScoreTable, write_scores
from ostiary.runtime.liveness_record import Threshold
from ostiary.runtime.packaged import resolve_weights

HASHES = ModelHashes("a" * 64, "b" * 64)
MODEL = CalibratedModel(HASHES)

Make = Callable[..., Path]


@pytest.fixture
def score_file(tmp_path: Path) -> Make:
    """Scores of two configurations: each of ``people`` has 10 bona fide and 10 of each of two attacks."""

    def make(people: int = 30, split: str = "development", words: Sequence[str] = ("HHH", "LLL")) -> Path:
        generator, table = np.random.default_rng(0), {}
        for word in words:
            samples, values = [], []
            for person in range(people):
                for kind, centre in (("", 0.75), ("print", 0.3), ("replay", 0.35)):
                    for take in range(10):
                        label = "attack" if kind else "bona_fide"
                        path = f"{person}_{kind}_{take}.png"
                        samples.append(Sample(path, label, kind, f"p{person}", split, "door"))  # type: ignore[arg-type]
                        values.append(float(np.clip(generator.normal(centre, 0.1), 0, 1)))
            table[word] = Scores(tuple(samples), np.array(values), ("",) * len(samples))
        path = tmp_path / "scores.csv"
        write_scores(ScoreTable(table), path)
        return path

    return make


@pytest.fixture
def comparison_file(tmp_path: Path) -> Path:
    """3,060 non-mated and 180 mated comparisons of 18 people."""
    generator, pairs, values = np.random.default_rng(1), [], []
    for one in range(18):
        for take in range(10):
            pairs.append(Pair(f"p{one}/0.png", f"p{one}/{take + 1}.png", True, None, ""))
            values.append(float(np.clip(generator.normal(0.85, 0.05), 0, 1)))
        for other in range(18):
            for take in range(10 if other != one else 0):
                pairs.append(Pair(f"p{one}/0.png", f"p{other}/{take}.png", False, None, ""))
                values.append(float(np.clip(generator.normal(0.5, 0.06), 0, 1)))
    path = tmp_path / "comparisons.csv"
    write_comparisons(ComparedPairs(tuple(pairs), np.array(values), ("",) * len(pairs)), path)
    return path


@pytest.mark.parametrize("text", ["fmr", "fmr=", "fmr=0", "fmr=1", "fmr=nan", "far=0.1", "0.1", ""])
def test_targets_that_make_no_sense(text: str) -> None:
    with pytest.raises(ConfigurationError, match="makes no sense"):
        Target.parse(text)


def test_targets_have_one_spelling() -> None:
    assert str(Target.parse("FMR=1e-3")) == str(Target.parse(" fmr=0.001")) == "fmr=0.001"


def test_an_apcer_is_held_for_each_configuration(score_file: Make, tmp_path: Path) -> None:
    out = tmp_path / "site.json"
    made = calibrate(score_file(), Target.parse("apcer=0.05"), out, MODEL)
    assert Calibration.load(out) == made
    assert set(made.liveness) == {"HHH", "LLL"}
    found = made.liveness["HHH"]
    assert found.upper_limit is not None
    assert found.upper_limit <= 0.05
    assert (found.trials, found.people, found.data, found.target) == (300, 30, "door", "apcer=0.05")
    assert found.value_low is not None
    assert found.value_high is not None
    assert found.value_low <= found.value <= found.value_high
    assert found.low is not None
    assert found.high is not None
    assert found.rate is not None
    assert found.low <= found.rate <= found.high
    assert found.other is not None
    assert (found.other.name, found.other.trials) == ("bpcer", 300)
    assert "30 people" in (found.warning or "")


def test_a_bpcer_is_held_from_above(score_file: Make, tmp_path: Path) -> None:
    made = calibrate(
        score_file(), Target.parse("bpcer=0.1"), tmp_path / "site.json", MODEL, configurations=["LLL"]
    )
    (found,) = made.liveness.values()
    assert upper_limit(round((found.rate or 0) * 300), 300) <= 0.1
    assert found.other is not None
    assert found.other.name == "apcer"


def test_people_are_the_careful_count(score_file: Make, tmp_path: Path) -> None:
    scores, target = score_file(), Target.parse("apcer=0.1")
    loose = calibrate(scores, target, tmp_path / "a.json", MODEL).liveness["HHH"].value
    assert calibrate(scores, target, tmp_path / "b.json", MODEL, count="people").liveness["HHH"].value > loose
    with pytest.raises(RateError, match=r"30 people.*60 people"):
        calibrate(scores, Target.parse("apcer=0.05"), tmp_path / "c.json", MODEL, count="people")
    assert not (tmp_path / "c.json").exists()


def test_too_few_trials_are_refused_with_what_it_takes(score_file: Make, tmp_path: Path) -> None:
    with pytest.raises(RateError, match=r"300 attacks of species print.*3,000 \(rule of 3\).*300 people"):
        calibrate(score_file(), Target.parse("apcer=1e-3"), tmp_path / "site.json", MODEL)


def test_an_fmr_and_an_fnmr(comparison_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "site.json"
    found = calibrate(comparison_file, Target.parse("fmr=1e-3"), out, MODEL, flip=True, data="faces").matching
    assert found is not None
    assert (found.trials, found.people, found.data, found.target) == (3060, 18, "faces", "fmr=0.001")
    assert found.upper_limit is not None
    assert found.upper_limit <= 1e-3
    assert found.other is not None
    assert (found.other.name, found.other.trials) == ("fnmr", 180)
    assert found.high == pytest.approx(clopper_pearson(0, 18).high)
    assert Calibration.load(out).matching_flip
    other = calibrate(comparison_file, Target.parse("fnmr=0.05"), tmp_path / "b.json", MODEL).matching
    assert other is not None
    assert (other.trials, other.people) == (180, 18)
    assert upper_limit(round((other.rate or 0) * 180), 180) <= 0.05
    assert other.value_low is not None
    assert other.value_high is not None
    assert other.value_low <= other.value <= other.value_high


def test_both_kinds_end_in_one_file(score_file: Make, comparison_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "site.json"
    first = calibrate(score_file(), Target.parse("apcer=0.05"), out, MODEL, configurations=["HHH"])
    second = calibrate(comparison_file, Target.parse("fmr=1e-2"), out, MODEL)
    saved = Calibration.load(out)
    assert (saved.liveness, saved.matching) == (first.liveness, second.matching)
    with pytest.raises(ConfigurationError, match="another matching model"):
        calibrate(comparison_file, Target.parse("fmr=1e-2"), out, CalibratedModel(HASHES._replace(model="c" * 64)))
    assert Calibration.load(out) == saved


def test_the_wrong_file_for_a_target(score_file: Make, comparison_file: Path, tmp_path: Path) -> None:
    for path, target in ((score_file(), "fmr=0.01"), (comparison_file, "apcer=0.05")):
        with pytest.raises(ConfigurationError, match="has no column"):
            calibrate(path, Target.parse(target), tmp_path / "site.json", MODEL)
    with pytest.raises(ConfigurationError, match="cannot be counted by people"):
        calibrate(comparison_file, Target.parse("fmr=0.01"), tmp_path / "site.json", MODEL, count="people")
    with pytest.raises(ConfigurationError, match="no scores of configuration 'BBB'"):
        calibrate(score_file(), Target.parse("apcer=0.05"), tmp_path / "s.json", MODEL, configurations=["BBB"])


def test_test_people_choose_no_threshold(score_file: Make, tmp_path: Path) -> None:
    scores = score_file(split="test")
    with pytest.raises(ConfigurationError, match="no rows of the development split, but of test"):
        calibrate(scores, Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL)
    assert calibrate(scores, Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL, split="test").liveness


def test_scores_of_other_weights_are_noticed(score_file: Make, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"header": {"model": {"sha256": "d" * 64}}}))
    with pytest.raises(ConfigurationError, match="made by the weights dddddddddddd"):
        calibrate(score_file(), Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL)
    report.write_text(json.dumps({"header": {"model": None}}))
    calibrate(score_file(), Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL)


def test_the_words_are_those_of_the_model(score_file: Make, tmp_path: Path) -> None:
    target = Target.parse("apcer=0.05")
    with pytest.raises(ConfigurationError, match=r"configuration 'LLL', which the model does not have \(HHH\)"):
        calibrate(score_file(), target, tmp_path / "site.json", CalibratedModel(HASHES, ("HHH",)))
    unnamed = score_file(words=["model"])
    made = calibrate(unnamed, target, tmp_path / "a.json", CalibratedModel(HASHES, ("",)))
    assert list(made.liveness) == [""], "a network of others has one configuration without a name"
    with pytest.raises(ConfigurationError, match="configuration 'model', which"):
        calibrate(unnamed, target, tmp_path / "b.json", CalibratedModel(HASHES, ("HHH", "LLL")))


def test_packaged_weights_are_bound_by_file_and_crop() -> None:
    model = open_model(None, "liveness")
    assert model.words is not None
    assert "HHH" in model.words
    assert model.hashes.model != model.hashes.preprocess
    with pytest.raises(WeightsError, match="compares no faces"):
        open_model(resolve_weights(None), "similarity")


def test_a_model_that_tells_nothing_apart_is_refused(tmp_path: Path) -> None:
    samples = [
        Sample(f"{n}.png", "bona_fide" if n % 2 else "attack", "" if n % 2 else "print") for n in range(400)
    ]
    table = ScoreTable({"HHH": Scores(tuple(samples), np.full(400, 0.5), ("",) * 400)})
    write_scores(table, tmp_path / "scores.csv")
    with pytest.raises(RateError, match="would refuse everybody"):
        calibrate(tmp_path / "scores.csv", Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL)
    zeros = ScoreTable({"HHH": Scores(tuple(samples), np.zeros(400), ("",) * 400)})
    write_scores(zeros, tmp_path / "scores.csv")
    with pytest.raises(RateError, match="accepts everything"):
        calibrate(tmp_path / "scores.csv", Target.parse("bpcer=0.05"), tmp_path / "site.json", MODEL)


def test_the_page_says_rate_trials_and_people(score_file: Make, tmp_path: Path) -> None:
    made = calibrate(score_file(words=["HHH"]), Target.parse("apcer=0.05"), tmp_path / "site.json", MODEL)
    first, rate, other, warning = calibration_lines(made)
    assert "liveness, HHH: accept at >= " in first
    assert "apcer=0.05 on door" in first
    assert rate.startswith("  APCER ")
    assert "300 trials of 30 people" in rate
    assert other.startswith("  BPCER ")
    assert "rule of 30" in warning


class GreyLiveness:
    """The liveness of a frame is its grey level over 255; black shows no face, and one step above is too dark."""

    configuration = "HHH"

    def check(self, image: Any) -> ImageCheck:
        level = int(image[0, 0, 0])
        if not level:
            return ImageCheck((), self.configuration)
        face = Face(Box(0, 0, 4, 4), np.zeros((5, 2), np.float32), 0.9)
        if level == 1:
            return ImageCheck(
                (CheckedFace(face, None, 0.5, False, "too_dark", ("too_dark",)),), self.configuration
            )
        return ImageCheck((CheckedFace(face, level / 255, 0.5, True, "bona_fide"),), self.configuration)


@pytest.fixture
def stored() -> Operating:
    return stored_operating(
        Threshold(value=0.5, target="apcer_max<=0.05", rate=0.05, n_bona_fide=50, n_attack=80, data="packs")
    )


def _recorded(levels: Sequence[int], subject: str, capture: str, **attack: Any) -> ScoreTable:
    frames = (np.full((4, 4, 3), level, np.uint8) for level in levels)
    return site_scores(frames, GreyLiveness(), subject=subject, capture=capture, **attack)


def test_frames_of_a_camera_become_rows() -> None:
    scores = _recorded([255, 0, 1, 102], "ann", "monday").configurations["HHH"]
    assert scores.reasons == ("", "no_face", "too_dark", "")
    assert scores.liveness[[0, 3]].tolist() == [1, 102 / 255]
    assert {sample.capture for sample in scores.samples} == {"monday"}
    assert len({sample.path for sample in scores.samples}) == 4
    with pytest.raises(ConfigurationError, match="no frame"):
        _recorded([], "ann", "monday")
    cascade = GreyLiveness()
    cascade.configuration = "LLL>HHH"
    with pytest.raises(ConfigurationError, match="cascade"):
        site_scores([np.zeros((4, 4, 3), np.uint8)], cascade, subject="ann", capture="monday")


def test_a_site_raises_the_threshold_as_far_as_its_people_pass(stored: Operating) -> None:
    table = ScoreTable.concatenate(
        [_recorded([204] * 95 + [178] * 5, "ann", "a"), _recorded([255] * 95 + [229] * 5 + [0] * 7, "ben", "b")]
    )
    made = site_calibration(table.configurations["HHH"], stored, "HHH", HASHES)
    found = made.liveness["HHH"]
    assert found.value == 204 / 255, "ann is the one who limits it"
    assert found.rate == 5 / 200
    assert (found.trials, found.people) == (2, 2), "frames are no trials"
    assert found.high == pytest.approx(clopper_pearson(0.05, 2).high)
    assert "2 people, which are 2 trials" in (found.warning or "")
    assert "60 people" in (found.warning or "")
    assert "7 further frames had no answer" in (found.warning or "")


def test_a_site_never_lowers_the_threshold(stored: Operating) -> None:
    scores = _recorded([102] * 50 + [153] * 50, "ann", "a").configurations["HHH"]
    found = site_calibration(scores, stored, "HHH", HASHES).liveness["HHH"]
    assert (found.value, found.rate) == (stored.value, 0.5)
    assert "refuses 50.0 % of these people's frames and was left" in (found.warning or "")
    assert "one person, which is one trial" in (found.warning or "")


def test_recorded_attacks_are_measured_a_recording_a_trial(stored: Operating) -> None:
    tables = [_recorded([204] * 20, "ann", "a")]
    for take in range(4):
        levels = [51] * 10 + ([230] if take == 0 else [])
        tables.append(_recorded(levels, "ann", f"print{take}", label="attack", species="print"))
    scores = ScoreTable.concatenate(tables).configurations["HHH"]
    found = site_calibration(scores, stored, "HHH", HASHES).liveness["HHH"]
    assert found.other is not None
    assert (found.other.name, found.other.errors, found.other.trials) == ("apcer", 1, 4)


def test_a_site_without_a_face_or_a_name_is_refused(stored: Operating) -> None:
    with pytest.raises(RateError, match="No frame showed a face"):
        site_calibration(_recorded([0] * 9, "ann", "a").configurations["HHH"], stored, "HHH", HASHES)
    with pytest.raises(ConfigurationError, match="no subject"):
        site_calibration(_recorded([200], "", "a").configurations["HHH"], stored, "HHH", HASHES)
