"""A model and pictures that need no weights: liveness is the mean grey level of the crop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostiary.data.index import Index, Sample
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.liveness_record import ConfigurationRecord, Metadata, Threshold

BOX = Box(8, 8, 16, 16)


class GreyModel:
    """Under H the liveness is the mean grey level, under L half of it."""

    def __init__(self, weights: Path | str | None = None) -> None:
        self.path = Path(__file__)
        self.batches: list[int] = []
        stored = Threshold(value=0.6, target="eer", rate=0.1, n_bona_fide=50, n_attack=80, data="made up")
        self.metadata = Metadata(
            name="grey",
            version="0",
            licence="Apache-2.0",
            data=["none"],
            preprocess=Preprocess(crop="loose", size=16, scale=1.0),
            configurations={
                "H": ConfigurationRecord(parameters=2, macs=20, threshold=stored),
                "L": ConfigurationRecord(parameters=1, macs=10),
            },
            default_configuration="H",
            training_commit="none",
        )

    @property
    def words(self) -> list[str]:
        return list(self.metadata.configurations)

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        assert crops.shape[1:] == (16, 16, 3)
        self.batches.append(len(crops))
        return (crops.mean(axis=(1, 2, 3)) / 255 * (0.5 if word == "L" else 1)).astype(np.float32)


@pytest.fixture
def grey_model() -> type[GreyModel]:
    return GreyModel


@pytest.fixture
def make_data(tmp_path: Path) -> Callable[..., tuple[Index, Path]]:
    """Pictures of one grey level each: bona fide bright, attacks dark; ``people`` people a data set."""

    def make(people: int = 6, datasets: tuple[str, ...] = ("one",), split: str = "test") -> tuple[Index, Path]:
        folder = tmp_path / "pictures"
        folder.mkdir()
        samples = []
        for dataset in datasets:
            for place in range(4 * people):
                kind = ("", "", "print", "replay")[place % 4]
                level = (90 if kind else 160) + 7 * (place * 5 % 13)
                path = f"{dataset}_{place}.png"
                Image.new("RGB", (32, 32), (level,) * 3).save(folder / path)
                label = "attack" if kind else "bona_fide"
                samples.append(Sample(path, label, kind, f"p{place // 4}", split, dataset, "", BOX))  # type: ignore[arg-type]
        return Index(samples), folder

    return make
