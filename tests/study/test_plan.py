"""A study's plan: what it lists, what it refuses, and which rows a cell may touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostiary.data.index import Index, Sample
from ostiary.errors import ConfigurationError, DataIndexError, OstiaryError
from ostiary.study.arms import Cell
from ostiary.study.plan import read_study
from ostiary.study.protocols import rows_of

PLAN = """
name = "tiny"
protocol = "leave_out"
held_out = [["a"], ["b", "c"]]
judged_on = ["train", "development"]
seeds = [0, 1]
baseline = "ours"
extra = ["faces"]

[arms.ours]
recipe = "strangers"

[arms.changed]
recipe = "strangers"
change = { teacher_weight = 0.0, schedule = { epochs = 2 }, words = { HHH = 0.5, BBB = 0.5 } }
extra = ["faces"]
seeds = [3]

[arms.others]
peers = ["facenox"]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(PLAN)
    return path


def rows() -> Index:
    found = []
    for dataset, species in (("a", "print_flat"), ("b", "replay_phone"), ("c", "print_a4"), ("faces", "")):
        for split in ("train", "development", "test"):
            for label in ("bona_fide", "attack") if species else ("bona_fide",):
                kind = species if label == "attack" else ""
                found.append(
                    Sample(f"{dataset}/{split}/{label}", label, kind, f"{dataset}{split}", split, dataset)  # type: ignore[arg-type]
                )
    return Index(found)


def test_cells_are_every_arm_part_and_seed(plan: Path) -> None:
    names = [cell.name for cell in read_study(plan).cells()]
    assert names == [
        "ours-a-0", "ours-a-1", "ours-b+c-0", "ours-b+c-1", "changed-a-3", "changed-b+c-3", "others-a-0",
        "others-b+c-0",
    ]  # fmt: skip


def test_a_change_is_merged_into_the_recipe_and_words_are_replaced(plan: Path) -> None:
    study = read_study(plan)
    base, changed = study.recipe("ours"), study.recipe("changed")
    assert base is not None
    assert changed is not None
    assert (changed.teacher_weight, changed.schedule.epochs) == (0.0, 2)
    assert changed.schedule.learning_rate == base.schedule.learning_rate
    assert changed.words == {"HHH": 0.5, "BBB": 0.5}
    assert study.recipe("others") is None


def test_an_arm_like_another_adds_its_changes_to_those(plan: Path) -> None:
    like = """
[arms.both]
like = "changed"
change = { label_smoothing = 0.1, schedule = { epochs = 3 } }
"""
    plan.write_text(PLAN + like)
    found = read_study(plan).recipe("both")
    assert found is not None
    assert (found.teacher_weight, found.label_smoothing, found.schedule.epochs) == (0.0, 0.1, 3)
    assert found.words == {"HHH": 0.5, "BBB": 0.5}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('baseline = "ours"', 'baseline = "theirs"', "theirs"),
        ("held_out", "# held_out", "name held_out"),
        ("teacher_weight = 0.0", "teacher_weight = 7.0", "teacher_weight"),
        ("teacher_weight = 0.0", "teacher_wait = 0.0", "teacher_wait"),
        ('peers = ["facenox"]', 'peers = ["facenox"]\nrecipe = "paper"', "one of: a recipe"),
        ('extra = ["faces"]\n\n', "\n", "faces"),
        ('recipe = "strangers"\n\n', 'like = "others"\n\n', "no arm with a recipe"),
        ('recipe = "strangers"\n\n', 'like = "ours"\n\n', "like itself"),
        ('recipe = "strangers"\nchange', 'recipe = "nobody"\nchange', "nobody"),
        ('peers = ["facenox"]', 'peers = ["facebox"]', "peers"),
        ('peers = ["facenox"]', 'average = ["ours", "nobody"]', "averages what is not trained"),
        ('peers = ["facenox"]', 'average = ["ours"]\nchange = { dropout = 0.1 }', "not trained: no change"),
        ("seeds = [0, 1]", "seeds = [0,", "TOML"),
    ],
)
def test_a_wrong_plan_is_refused_with_the_place(plan: Path, before: str, after: str, message: str) -> None:
    assert before in PLAN
    plan.write_text(PLAN.replace(before, after, 1))
    with pytest.raises(OstiaryError, match=message):
        read_study(plan)


def test_no_such_plan(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        read_study(tmp_path / "nothing.toml")


def test_left_out_data_sets_give_nothing_to_training(plan: Path) -> None:
    study = read_study(plan)
    found = rows_of(study, Cell("ours", ("b", "c"), 0), rows())
    assert found.learnt.datasets == ("a",)
    assert {sample.split for sample in found.learnt} == {"train", "development"}
    assert found.judged.datasets == ("b", "c")
    assert {sample.split for sample in found.judged} == {"train", "development"}


def test_extra_data_joins_the_arms_that_name_it_in_training_alone(plan: Path) -> None:
    study = read_study(plan)
    found = rows_of(study, Cell("changed", ("a",), 3), rows())
    extra = [sample for sample in found.learnt if sample.dataset == "faces"]
    assert [sample.split for sample in extra] == ["train"]
    assert "faces" not in found.judged.datasets


def test_an_unseen_species_takes_data_sets_without_other_attacks_along(plan: Path) -> None:
    plan.write_text(
        PLAN.replace("leave_out", "unseen_species")
        .replace('[["a"], ["b", "c"]]', '[["replay"]]')
        .replace('["train", "development"]', '["test"]')
    )
    found = rows_of(read_study(plan), Cell("ours", ("replay",), 0), rows())
    assert found.learnt.datasets == ("a", "c")  # b has replays only
    assert not [sample for sample in found.learnt if sample.species.startswith("replay")]


def test_in_domain_never_judges_what_it_learnt_from(plan: Path) -> None:
    text = PLAN.replace("leave_out", "in_domain").replace('held_out = [["a"], ["b", "c"]]\n', "")
    plan.write_text(text)
    with pytest.raises(ConfigurationError, match="learns from"):
        rows_of(read_study(plan), Cell("ours", (), 0), rows())
    plan.write_text(text.replace('["train", "development"]', '["test"]'))
    found = rows_of(read_study(plan), Cell("ours", (), 0), rows())
    assert {sample.split for sample in found.judged} == {"test"}


def test_unknown_data_and_empty_parts_are_refused(plan: Path) -> None:
    study = read_study(plan)
    with pytest.raises(ConfigurationError, match="'d'"):
        rows_of(study, Cell("ours", ("d",), 0), rows())
    only_tests = Index(sample for sample in rows() if sample.split == "test")
    with pytest.raises(DataIndexError, match="no rows"):
        rows_of(study, Cell("ours", ("a",), 0), only_tests)
