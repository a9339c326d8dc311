"""Windows: the crop from the cache is the crop from the whole picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.data.index import Sample
from ostiary.errors import DataIndexError, ImageError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image
from ostiary.training.windows import build_windows

PREPROCESS = Preprocess(crop="loose", size=128, scale=1.3)


class Memory:
    """Pictures by name."""

    def __init__(self, images: dict[str, np.ndarray]) -> None:
        self.images = images

    def image(self, path: str) -> np.ndarray:
        if path not in self.images:
            raise ImageError(f"{path} is broken")
        return self.images[path]


def sample(path: str, box: Box | None) -> Sample:
    return Sample(path=path, label="bona_fide", box=box)


@pytest.fixture(scope="module")
def portrait(pictures: Path) -> np.ndarray:
    return read_image(pictures / "astronaut.png")


@pytest.mark.parametrize(
    "box", [Box(170, 60, 110, 140), Box(5, 5, 90, 120), Box(400, 380, 100, 120), Box(100, 20, 330, 400)]
)
def test_the_crop_is_the_same_from_the_window(portrait: np.ndarray, tmp_path: Path, box: Box) -> None:
    windows = build_windows([sample("a", box)], Memory({"a": portrait}), tmp_path, PREPROCESS, room=1.4)
    from_window = loose_crop(*windows[0], PREPROCESS).astype(int)
    whole = loose_crop(portrait, box, PREPROCESS).astype(int)
    # Where a face is larger than twice the network's input, the window is stored shrunk: resampled twice.
    if windows[0][1].width == pytest.approx(box.width):
        assert np.abs(from_window - whole).max() <= 1
    else:
        assert np.abs(from_window - whole).mean() < 2


def test_broken_and_faceless_pictures_are_dropped_by_name(portrait: np.ndarray, tmp_path: Path) -> None:
    samples = [sample("broken", Box(0, 0, 9, 9)), sample("face", None), sample("flat", None)]
    store = Memory({"face": portrait, "flat": np.full((80, 80, 3), 120, np.uint8)})
    windows = build_windows(samples, store, tmp_path, PREPROCESS, room=1.4)
    assert windows.kept == [1]
    assert windows.dropped == ["broken", "flat"]
    with pytest.raises(DataIndexError, match="None of the 1 pictures"):
        build_windows(samples[:1], store, tmp_path, PREPROCESS, room=1.4)


def test_the_cache_is_read_again_and_depends_on_what_was_asked(portrait: np.ndarray, tmp_path: Path) -> None:
    samples = [sample("a", Box(170, 60, 110, 140))]
    first = build_windows(samples, Memory({"a": portrait}), tmp_path, PREPROCESS, room=1.4)
    again = build_windows(samples, Memory({}), tmp_path, PREPROCESS, room=1.4)
    assert np.array_equal(first[0][0], again[0][0])
    other = build_windows(samples, Memory({"a": portrait}), tmp_path, PREPROCESS, room=1.8)
    assert other.folder != first.folder
    assert not list(tmp_path.glob("*.partial"))
