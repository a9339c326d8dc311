"""A home test says what its few trials can show, and nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError
from ostiary.reports.attack_page import write_attack_test
from ostiary.reports.attack_test import BONA_FIDE, PLAN, AnyFrame, AttackTest, sentence


@dataclass(frozen=True)
class Said:
    accepted: bool
    reason: str


ALIVE, ATTACK, NOBODY = Said(True, "bona_fide"), Said(False, "presentation_attack"), Said(False, "no_face")


def _frames(*levels: int) -> Iterator[NDArray[np.uint8]]:
    return (np.full((4, 4, 3), level, np.uint8) for level in levels)


def _by_level(frame: NDArray[np.uint8]) -> Said:
    return {0: NOBODY, 1: ATTACK, 2: ALIVE}[int(frame[0, 0, 0])]


def _test(trials: int = 10) -> AttackTest:
    return AttackTest(AnyFrame(_by_level, settle=0), trials=trials)


def _run(test: AttackTest, levels: dict[str, list[int]]) -> AttackTest:
    turns = {species: iter(found) for species, found in levels.items()}
    while (prompt := test.prompt) is not None:
        test.present(_frames(next(turns[prompt.presentation.species])))
    return test


def test_it_asks_for_everything_in_turn() -> None:
    test, asked = _test(trials=2), []
    while (prompt := test.prompt) is not None:
        asked.append((prompt.presentation.name, prompt.trial, prompt.of))
        test.present(_frames(1))
    names = [presentation.name for presentation in PLAN]
    assert asked == [(name, trial, 2) for name in names for trial in (1, 2)]
    with pytest.raises(ConfigurationError, match="over"):
        test.present(_frames(1))


def test_a_kind_can_be_skipped_and_a_trial_taken_back() -> None:
    test = _test(trials=2)
    test.present(_frames(2))
    test.take_back()
    assert test.prompt is not None
    assert test.prompt.trial == 1
    test.skip()
    assert test.prompt.presentation.species == "print_flat"
    assert test.results == ()


def test_zero_of_ten_is_at_most_a_quarter() -> None:
    found = _run(_test(), {BONA_FIDE: [2] * 10, **{each.species: [1] * 10 for each in PLAN[1:]}}).report()
    phone = found["species"]["replay_phone"]
    assert (phone["trials"], phone["accepted"], phone["rate"]) == (10, 0, 0)
    assert phone["upper_limit"] == pytest.approx(1 - 0.05 ** (1 / 10))
    assert phone["sentence"] == (
        "0 of 10 attempts with a phone were accepted: at most 25.9 % are, with 95 % confidence."
    )
    assert found["bona_fide"]["rate"] == 0
    assert any("7 % of attempts takes 42" in note for note in found["notes"])


def test_what_was_never_seen_withstood_nothing() -> None:
    levels = {BONA_FIDE: [2] * 10, **{each.species: [1] * 10 for each in PLAN[1:]}}
    found = _run(_test(), levels | {"print_flat": [1] * 7 + [0] * 3, "replay_tablet": [0] * 10}).report()
    assert found["species"]["print_flat"]["trials"] == 7
    assert found["species"]["print_flat"]["no_answer"] == 3
    assert found["species"]["print_flat"]["reasons"] == {"no_face": 3, "presentation_attack": 7}
    assert "replay_tablet" not in found["species"]
    assert any("print_flat 3, replay_tablet 10" in note for note in found["notes"])


def test_a_door_that_refuses_everybody_shows_nothing() -> None:
    found = _run(_test(), {each.species: [1] * 10 for each in PLAN}).report()
    assert found["bona_fide"]["rate"] == 1
    assert any("refused everybody" in note for note in found["notes"])
    none = AttackTest(AnyFrame(_by_level, settle=0), trials=1, plan=PLAN[1:2])
    none.present(_frames(1))
    assert any("Nobody was shown alive" in note for note in none.report()["notes"])


def test_all_accepted_has_no_limit() -> None:
    assert "no limit" in sentence(3, 3, "prints")


def test_a_door_that_looks_at_frames_opens_at_the_first_that_passes() -> None:
    test = AttackTest(AnyFrame(_by_level, most=3, settle=1), trials=9)
    assert not test.present(_frames(2, 1, 0, 1)).accepted, "the first frame is passed over"
    assert test.present(_frames(0, 1, 2, 1)).accepted
    assert not test.present(_frames(0, 0, 0, 0, 2)).accepted, "only so many are looked at"
    mixed = test.present(_frames(0, 1, 0, 0))
    assert (mixed.answered, mixed.reason) == (True, "presentation_attack")


def test_a_dead_camera_is_no_trial() -> None:
    test = _test()
    with pytest.raises(InputError, match="no frame"):
        test.present(_frames())
    silent = AttackTest(lambda frames: ATTACK, trials=1)
    with pytest.raises(InputError, match="no frame"):
        silent.present(_frames())
    assert test.results == silent.results == ()


def test_impossible_plans_are_refused() -> None:
    for trials, plan in ((0, PLAN), (1, ()), (1, (PLAN[1], PLAN[1]))):
        with pytest.raises(ConfigurationError, match="at least one"):
            AttackTest(lambda frames: ATTACK, trials=trials, plan=plan)


def test_the_page_says_the_same(tmp_path: Path) -> None:
    found = _run(_test(), {BONA_FIDE: [2] * 9 + [0], **{each.species: [1] * 9 + [2] for each in PLAN[1:]}})
    report = found.report({"configuration": "HHH"})
    write_attack_test(report, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report
    page = (tmp_path / "out" / "report.md").read_text()
    assert "1 of 10 attempts with a print were accepted" in page
    assert "| yourself (refused) | 9 | 9 | 0.0 % (0.0 - 33.6) |" in page
