"""The loop: learns, resumes on the same curve after a kill, and gives the same curve in two processes."""

from __future__ import annotations

import copy
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import open_pictures
from ostiary.data.synthetic import synthesize
from ostiary.errors import DataIndexError, InputError, WeightsError
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image
from ostiary.networks.mobilenet_v2 import pta_mobilenet_v2
from ostiary.networks.registry import LIVENESS
from ostiary.training.augment import Augmentation
from ostiary.training.batches import LabelledWindows
from ostiary.training.checkpoint import load_tensors
from ostiary.training.liveness import LivenessTask
from ostiary.training.model import load_model
from ostiary.training.recipe import Recipe, changed, recipe
from ostiary.training.run import RunSettings, blend, train_liveness
from ostiary.training.schedule import Schedule

# A small network input keeps each of these runs at a few seconds.
SMALL = Recipe(
    name="small",
    summary="For tests.",
    network="pta_mobilenet_v2",
    preprocess=Preprocess(crop="loose", size=32, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(zoom=1.2, shift=0.05, brightness=0.2, noise=4),
    sampling="balanced",
    epoch_pictures=48,
    schedule=Schedule(
        epochs=3, batch=16, shards=2, learning_rate=1e-3, average=0.9, decay="cosine", warmup_steps=2
    ),
)

FULL = Recipe.model_validate(
    {
        **SMALL.model_dump(),
        "name": "full",
        "schedule": {**SMALL.schedule.model_dump(), "epochs": 2},
        "objective": {
            "focal": 2,
            "patch_weight": 0.3,
            "contrast_weight": 0.5,
            "domain_weight": 0.5,
            "spectrum_weight": 0.5,
        },
        "dial": {"rule": "sandwich", "letters": "HLB", "distil": 1.0},
        "simulated": 0.5,
        "style_mix": {"probability": 0.5},
    }
)
"""All options that go together."""
ONE_STEP = Recipe.model_validate(
    {
        **FULL.model_dump(),
        "name": "one_step",
        "epoch_pictures": 16,
        "schedule": {**SMALL.schedule.model_dump(), "epochs": 1},
    }
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    synthesize(folder, subjects=9, per_subject=2, seed=3, size=96)
    return folder


def train(data: Path, out: Path, recipe: Recipe = SMALL, **settings: object) -> list[dict[str, str]]:
    index, pictures = Index.read_csv(data / "synthetic.csv"), open_pictures(data / "synthetic.tar")
    train_liveness(recipe, index, pictures, RunSettings(out=out, cache=data / "cache", workers=0, **settings))  # type: ignore[arg-type]
    return steps(out)


def steps(out: Path) -> list[dict[str, str]]:
    with (out / "steps.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def losses(rows: list[dict[str, str]]) -> list[float]:
    return [float(row["loss"]) for row in rows]


def test_a_run_writes_its_journal_and_a_model_that_can_be_read(data: Path, tmp_path: Path) -> None:
    rows = train(data, tmp_path)
    assert [int(row["step"]) for row in rows] == list(range(9))
    assert {row["word"] for row in rows} <= {"HHH", "LHH", "HLH", "HHL", "LLL"}
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "epochs.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    assert len(epochs) == 3
    assert all(0 <= float(row["development_auc_LLL"]) <= 1 for row in epochs)
    model = load_model(tmp_path / "model.safetensors")
    assert model.recipe == SMALL
    assert model.record["seed"] == 0
    assert not model.network.training


def test_the_same_seed_gives_the_same_curve_and_another_seed_another(data: Path, tmp_path: Path) -> None:
    first = losses(train(data, tmp_path / "a"))
    assert losses(train(data, tmp_path / "b")) == first
    assert losses(train(data, tmp_path / "c", seed=1)) != first


def test_workers_do_not_change_the_curve(data: Path, tmp_path: Path) -> None:
    index, pictures = Index.read_csv(data / "synthetic.csv"), open_pictures(data / "synthetic.tar")
    alone = losses(train(data, tmp_path / "alone"))
    train_liveness(SMALL, index, pictures, RunSettings(out=tmp_path / "two", cache=data / "cache", workers=2))
    assert losses(steps(tmp_path / "two")) == alone


def test_a_killed_run_goes_on_where_its_last_epoch_ended(data: Path, tmp_path: Path) -> None:
    whole = train(data, tmp_path / "whole")
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, __file__, str(data), str(killed), "1", "small"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.safetensors").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "the run wrote no checkpoint"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "model.safetensors").exists()
    resumed = train(data, killed)
    assert losses(resumed) == losses(whole)
    assert [row["word"] for row in resumed] == [row["word"] for row in whole]


def test_heads_are_checkpointed_and_are_no_part_of_the_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(data, tmp_path / "whole", FULL)
    assert set(load_model(tmp_path / "whole" / "model.safetensors").network.state_dict()) == set(
        LIVENESS[FULL.network]().state_dict()
    )
    validate = LivenessTask.validate
    monkeypatch.setattr(LivenessTask, "validate", interrupting(validate, after=1))
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "halves", FULL)
    monkeypatch.setattr(LivenessTask, "validate", validate)
    tensors, record = load_tensors(tmp_path / "halves" / "checkpoint.safetensors")
    assert record["steps"] == 3
    assert {"network/discriminator.0.weight", "average/module.projection.2.bias"} <= set(tensors)
    resumed = train(data, tmp_path / "halves", FULL)
    assert losses(resumed) == losses(whole)
    assert [row["word"] for row in resumed] == [row["word"] for row in whole]
    with pytest.raises(WeightsError, match="of another recipe"):
        train(data, tmp_path / "halves", SMALL)


def interrupting(validate: Callable[..., dict[str, float]], after: int) -> Callable[..., dict[str, float]]:
    """A validation that breaks off when it is asked once more than ``after`` times."""
    asked = iter(range(after))

    def validating(*arguments: object) -> dict[str, float]:
        if next(asked, None) is None:
            raise KeyboardInterrupt
        return validate(*arguments)

    return validating


def test_going_back_all_the_way_is_where_the_trunk_was(pictures: Path) -> None:
    recipe = SMALL.model_copy(update={"blend": 1.0})
    torch.manual_seed(0)
    network, start = pta_mobilenet_v2(), pta_mobilenet_v2()
    trained = copy.deepcopy(network.state_dict())
    face = read_image(pictures / "astronaut.png")[:256, 100:356]
    windows = [(face, Box(60, 30, 120, 150))] * 2
    rows = [Sample("a", "bona_fide"), Sample("b", "attack", "print")]
    data = LabelledWindows(windows, rows, np.full(2, np.nan, np.float32))  # type: ignore[arg-type]
    blend(network, start.state_dict(), recipe, data)
    weights = dict(network.named_parameters())
    goal = dict(start.named_parameters())
    for name, value in weights.items():
        assert torch.equal(value, trained[name] if name.startswith("classifier.") else goal[name])
    assert not torch.equal(network.bn1.running_mean, trained["bn1.running_mean"])


def test_two_processes_walk_the_curve_of_one(data: Path, tmp_path: Path) -> None:
    """Same shards, other order of summation: float32 rounding alone may tell them apart (1e-3 of the loss)."""
    one = losses(train(data, tmp_path / "one"))
    in_two_processes(data, tmp_path / "two", SMALL)
    assert losses(steps(tmp_path / "two")) == pytest.approx(one, rel=1e-3)


def test_two_processes_add_up_the_gradients_of_all_words_and_heads(data: Path, tmp_path: Path) -> None:
    """Adam's first moments after one step are the gradients; later steps only make rounding larger."""
    train(data, tmp_path / "one", ONE_STEP)
    in_two_processes(data, tmp_path / "two", ONE_STEP)
    one, two = (load_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    moments = [name for name in one if name.endswith("/exp_avg")]
    assert len(moments) > 150
    assert one.keys() == two.keys()
    for name in moments:
        assert (one[name] - two[name]).norm() <= 1e-3 * one[name].norm() + 1e-9, name


def in_two_processes(data: Path, out: Path, recipe: Recipe) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", __file__]
    done = subprocess.run(
        [*command, str(data), str(out), "2", recipe.name],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_processes_that_cannot_share_the_shards_are_refused() -> None:
    assert changed(SMALL, processes=2).schedule.shards == 2
    assert changed(SMALL, processes=4).schedule.shards == 4
    with pytest.raises(InputError, match="cannot be cut into 3 equal shards"):
        changed(SMALL, processes=3)


def test_a_subject_in_two_splits_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    lines = (data / "synthetic.csv").read_text().splitlines()
    moved = [line.replace(",train,", ",development,", 1) if i == 1 else line for i, line in enumerate(lines)]
    (tmp_path / "index.csv").write_text("\n".join(moved))
    index = Index.read_csv(tmp_path / "index.csv")
    with pytest.raises(DataIndexError, match="is in the splits development, train"):
        train_liveness(
            SMALL,
            index,
            open_pictures(data / "synthetic.tar"),
            RunSettings(out=tmp_path / "out", cache=tmp_path / "cache"),
        )
    assert not (tmp_path / "out").exists()


def test_a_recipe_that_needs_a_trunk_or_soft_targets_says_so(data: Path, tmp_path: Path) -> None:
    index, pictures = Index.read_csv(data / "synthetic.csv"), open_pictures(data / "synthetic.tar")
    settings = RunSettings(out=tmp_path / "out", cache=tmp_path / "cache")
    with pytest.raises(InputError, match="--trunk"):
        train_liveness(recipe("strangers"), index, pictures, settings)
    taught = SMALL.model_copy(update={"teacher_weight": 0.3})
    with pytest.raises(InputError, match="--soft-targets"):
        train_liveness(taught, index, pictures, settings)


if __name__ == "__main__":
    chosen = {"small": SMALL, "one_step": ONE_STEP}[sys.argv[4]]
    train(Path(sys.argv[1]), Path(sys.argv[2]), chosen, processes=int(sys.argv[3]), accelerator="cpu")
