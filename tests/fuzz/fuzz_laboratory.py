"""Readers of the laboratory half, which need torch: plans of studies, checkpoints, what teachers said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fuzz_trial import Files, Subject

from ostiary.data.index import Sample
from ostiary.study.face_plan import read_face_study
from ostiary.study.plan import read_study
from ostiary.training.checkpoint import load_tensors, save_tensors
from ostiary.training.personal.backbone import UNCHANGED, open_backbone
from ostiary.training.soft_targets import read_soft_targets

_STUDY = """name = "ablation"
protocol = "leave_out"
held_out = [["msu_mfsd", "nuaa"], ["selfie_vn"]]
judged_on = ["train", "development"]
seeds = [0, 1]
words = ["HHH", "LLL"]
baseline = "ours"

[arms.ours]
recipe = "strangers"

[arms.no_teacher]
like = "ours"
change = { teacher_weight = 0.0 }

[arms.minifasnet]
peers = ["minifasnet_v2", "minifasnet_v1se"]
"""
_FACE_STUDY = """name = "faces"
seeds = [0]
baseline = "ours"

[arms.ours]
recipe = "few_people"
change = { schedule = { epochs = 4 } }

[arms.no_margin]
like = "ours"
without = ["margin"]

[arms.sface]
peers = ["sface"]
"""
_SOFT = "dataset,path,log_odds\ndrawn,a.jpg,1.2500\ndrawn,b.jpg,-3.0000\n"
_SAMPLES = [Sample("a.jpg", "bona_fide", dataset="drawn"), Sample("b.jpg", "attack", "print", dataset="drawn")]


def _studies(_: Path) -> Sequence[Files]:
    return [{"study.toml": _STUDY.encode()}]


def _read_study(folder: Path) -> object:
    study = read_study(folder / "study.toml")
    return study, [cell.name for cell in study.cells()]


def _face_studies(_: Path) -> Sequence[Files]:
    return [{"study.toml": _FACE_STUDY.encode()}]


def _read_face_study(folder: Path) -> object:
    study = read_face_study(folder / "study.toml")
    return study, [cell.name for cell in study.cells()]


def _checkpoints(folder: Path) -> Sequence[Files]:
    save_tensors(folder / "one", {"a": torch.arange(6.0), "b": torch.ones(2, 2)}, {"step": 3})
    return [{"model.safetensors": (folder / "one").read_bytes()}]


def _read_checkpoint(folder: Path) -> object:
    tensors, record = load_tensors(folder / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, record


def _soft_targets(_: Path) -> Sequence[Files]:
    return [{"soft.csv": _SOFT.encode()}]


def _read_soft_targets(folder: Path) -> object:
    found = read_soft_targets(folder / "soft.csv", _SAMPLES)
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()
    return found.tolist()


def _backbones(folder: Path) -> Sequence[Files]:
    embeddings = np.eye(3, dtype=np.float32)[None]
    np.savez(folder / "one.npz", embeddings=embeddings, paths=np.array(["a", "b", "c"]), changes=UNCHANGED)
    return [{"teacher.npz": (folder / "one.npz").read_bytes()}]


def _read_backbone(folder: Path) -> object:
    backbone = open_backbone(folder / "teacher.npz")
    assert np.isfinite(backbone._embeddings).all()
    return backbone._embeddings.tobytes()


LABORATORY = (
    Subject("studies", _studies, _read_study, ("study.toml",), text=True),
    Subject("studies of faces", _face_studies, _read_face_study, ("study.toml",), text=True),
    Subject("checkpoints", _checkpoints, _read_checkpoint, ("model.safetensors",)),
    Subject("soft targets", _soft_targets, _read_soft_targets, ("soft.csv",), text=True),
    Subject("teachers' embeddings", _backbones, _read_backbone, ("teacher.npz",)),
)
