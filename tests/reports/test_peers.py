"""Peers: their crops keep their conventions, and on real pictures they know live from attack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.data.packs import open_packs
from ostiary.faces.detector import Box
from ostiary.metrics.curve import auc
from ostiary.metrics.trials import Trials
from ostiary.reports.peers import PEERS, PeerModel, mean_log_odds


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize(
    "box", [Box(100, 60, 80, 100), Box(-10, -5, 60, 80), Box(250, 180, 70, 60), Box(0, 0, 320, 240)]
)
def test_every_box_gives_an_input_of_the_right_size_and_range(peer: object, box: Box) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    crop = peer.crop(picture, box)  # type: ignore[attr-defined]
    facenox = peer.name == "facenox"  # type: ignore[attr-defined]
    assert crop.shape == ((3, 128, 128) if facenox else (3, 80, 80))
    assert crop.dtype == np.float32
    assert 0 <= crop.min() < crop.max() <= (1 if facenox else 255)


def test_channel_orders_are_the_projects_own() -> None:
    red = np.zeros((240, 320, 3), np.uint8)
    red[..., 0] = 200
    by_name = {peer.name: peer.crop(red, Box(100, 60, 80, 100)) for peer in PEERS}
    assert by_name["minifasnet_v2"].mean((1, 2)).tolist() == [0, 0, 200]
    assert by_name["facenox"].mean((1, 2)) == pytest.approx([200 / 255, 0, 0])


def test_log_odds_are_those_of_the_softmax() -> None:
    logits = np.array([[1.0, 2.0, -1.0]], np.float32)
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert PEERS[0].log_odds(logits)[0] == pytest.approx(np.log(shares[1] / (1 - shares[1])), abs=1e-5)


@pytest.mark.packs
def test_the_peers_separate_the_classes_of_a_pack(packs: Path) -> None:
    """Their authors' weights reach AUC .97 and more here with the right crop, and far less with a wrong one."""
    index, pictures = open_packs(packs / "data" / "liveness", ["nuaa"])
    chosen = [s for s in index.select(split="train") if s.box is not None][::12]
    models = [PeerModel(peer, packs / "models" / "peers") for peer in PEERS]
    odds = np.array([mean_log_odds(models, pictures.image(s.path), s.box) for s in chosen if s.box is not None])
    trials = Trials.from_columns(1 / (1 + np.exp(-odds)), [s.label == "bona_fide" for s in chosen])
    assert auc(trials) > 0.97
