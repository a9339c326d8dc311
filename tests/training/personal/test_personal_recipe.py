"""Phases at their steps, switches for ablations, and settings that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ostiary.errors import ConfigurationError
from ostiary.training.personal.recipe import PARTS, PersonalRecipe, changed, personal_recipe, personal_recipes

from .conftest import TINY

OURS = personal_recipe("personal")


def test_the_phases_of_our_recipe_at_their_steps() -> None:
    steps = OURS.schedule.epochs * OURS.steps_per_epoch
    at = [OURS.phase(int(share * steps)) for share in (0, 0.299, 0.3, 0.649, 0.65, 0.9999)]
    assert [phase.hard for phase in at] == [0, 0, 0.5, 0.5, 0.75, 0.75]
    assert [phase.positive for phase in at] == [1, 1, 0.5, 0.5, 0.5, 0.5]
    assert [phase.distil for phase in at] == [1, 1, 0.6, 0.6, 0.4, 0.4]
    assert {phase.penalty for phase in at} == {0.01}
    assert OURS.people == 32


def test_each_part_can_be_left_out() -> None:
    def hard(*without: str) -> list[float]:
        return [phase.hard for phase in changed(OURS, without=without).phases]

    assert hard("hard") == [0, 0, 0]
    assert hard("early_hard") == [0, 0, 0.75]
    assert hard("patience") == [0.75] * 3
    (only,) = changed(OURS, without=["schedule"]).phases
    assert only.hard == pytest.approx(0.35 * 0.5 + 0.35 * 0.75)
    assert only.distil == pytest.approx(0.3 * 1 + 0.35 * 0.6 + 0.35 * 0.4)
    assert {phase.penalty for phase in changed(OURS, without=["penalty"]).phases} == {0}
    both = changed(OURS, without=["distillation", "weights"])
    assert {(phase.distil, phase.positive) for phase in both.phases} == {(0, 1)}
    assert changed(OURS) == OURS
    assert all(changed(OURS, without=[part]) != OURS for part in PARTS)


def test_the_page_has_our_phases_and_all_parts() -> None:
    page = (Path(__file__).parents[3] / "docs" / "personal.md").read_text()
    begin = 0.0
    for phase in OURS.phases:
        hard = f"{phase.hard:.0%}".replace("%", " %") if phase.hard else "0"
        share = f"{100 * begin:.0f} - {100 * phase.until:.0f} %"
        assert f"| {share} | {hard} | {phase.positive:g} | {phase.distil:.1f} | {phase.penalty} |" in page
        begin = phase.until
    assert [part for part in PARTS if f"\n| `{part}` | " not in page] == []


def test_a_change_of_form_architecture_and_length() -> None:
    other = changed(OURS, form="modulation", architecture="f64", start="noise", epochs=3)
    assert (other.form, other.shape.size, other.start, other.schedule.epochs) == ("modulation", 64, "noise", 3)
    assert PersonalRecipe.model_validate_json(other.model_dump_json()) == other
    assert personal_recipes()["personal"] == OURS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "film"}, "no form 'film'; choose one of: direct"),
        ({"start": "zeros"}, "no start 'zeros'"),
        ({"architecture": "f32"}, "no verifier 'f32'"),
        ({"without": ["kcs"]}, "no part 'kcs'; choose one of: anybody, hard"),
    ],
)
def test_what_there_is_not_is_said(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        changed(OURS, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "f32"}, "no verifier"),
        ({"phases": []}, "the last one at 1"),
        ({"phases": [{"until": 0.5}, {"until": 0.5}, {"until": 1}]}, "after the one before"),
        ({"phases": [{"until": 0.9}]}, "the last one at 1"),
        ({"sampling": {"pictures": 3}}, "3 pictures each"),
        ({"sampling": {"pictures": 8}}, "two people or more"),
        ({"sampling": {"pictuers": 2}}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PersonalRecipe.model_validate({**TINY.model_dump(), **change})
