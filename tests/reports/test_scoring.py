from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.data.index import Index
from ostiary.data.pictures import open_pictures
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box, Face
from ostiary.faces.quality import MEAN_FACE, QualityLimits
from ostiary.reports.scoring import score

MakeData = Callable[..., tuple[Index, Path]]


class Finder:
    """Finds a face in bright pictures only."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        return [Face(Box(4, 4, 20, 20), np.zeros((5, 2), np.float32), 0.9)] if image.mean() > 150 else []


def test_every_word_on_the_same_crops(make_data: MakeData, grey_model: Any) -> None:
    index, folder = make_data()
    model, steps = grey_model(), []
    table = score(
        index, open_pictures(folder), model, ["H", "L"], batch=5, progress=lambda *step: steps.append(step)
    )
    heavy, light = table.configurations["H"], table.configurations["L"]
    assert heavy.samples == tuple(index)
    np.testing.assert_allclose(light.liveness, heavy.liveness / 2)
    assert heavy.liveness[0] == pytest.approx(160 / 255)
    assert max(model.batches) == 5
    assert sum(model.batches) == 2 * len(index)
    assert steps[-1] == (len(index), len(index))


def test_silence_has_a_reason(make_data: MakeData, grey_model: Any) -> None:
    index, folder = make_data()
    boxless = Index(replace(sample, box=None) for sample in index)
    (folder / index[0].path).write_bytes(b"no picture")
    (folder / index[-1].path).write_bytes(b"")
    scores = score(boxless, open_pictures(folder), grey_model(), ["H"], Finder()).configurations["H"]
    assert scores.reasons[0] == scores.reasons[-1] == "unreadable"
    assert (scores.reasons[1], scores.reasons[3]) == ("", "no_face")
    np.testing.assert_array_equal(np.isnan(scores.liveness), [bool(reason) for reason in scores.reasons])
    assert (~scores.trials().answered).sum() == sum(map(bool, scores.reasons))


class Portrait:
    """Finds two faces: a small one, and one that turns away where the index has its box."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        away = MEAN_FACE[:, [2, 1]] * 5 + 12
        return [
            Face(Box(20, 20, 9, 9), np.zeros((5, 2), np.float32), 0.8),
            Face(Box(7, 8, 16, 16), away.astype(np.float32), 0.9),
        ]


class Blind:
    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        return []


LENIENT = QualityLimits(face_width=0, contrast=0, sharpness=0)


def test_the_quality_of_the_face_at_the_box_of_the_index(make_data: MakeData, grey_model: Any) -> None:
    index, folder = make_data()
    pictures, model = open_pictures(folder), grey_model()
    away = score(index, pictures, model, ["H"], Portrait(), quality=LENIENT).configurations["H"]
    assert set(away.reasons) == {"turned_away"}
    assert not model.batches
    elsewhere = Index(replace(sample, box=Box(20, 20, 9, 9)) for sample in index)
    judged = score(elsewhere, pictures, model, ["H"], Portrait(), quality=LENIENT).configurations["H"]
    assert set(judged.reasons) == {""}


def test_a_box_where_nothing_is_found_is_measured_without_landmarks(make_data: MakeData, grey_model: Any) -> None:
    index, folder = make_data()
    pictures = open_pictures(folder)
    limits = replace(LENIENT, brightness=150)
    gated = score(index, pictures, grey_model(), ["H"], Blind(), quality=limits).configurations["H"]
    bare = score(index, pictures, grey_model(), ["H"], Blind()).configurations["H"]
    dark = bare.liveness < 150 / 255
    assert [reason == "too_dark" for reason in gated.reasons] == dark.tolist()
    np.testing.assert_array_equal(gated.liveness[~dark], bare.liveness[~dark])
    boxless = Index(replace(sample, box=None) for sample in index)
    reasons = score(boxless, pictures, grey_model(), ["H"], Blind(), quality=limits).configurations["H"].reasons
    assert [reason == "too_dark" for reason in reasons] == dark.tolist()
    assert set(reasons) == {"too_dark", "no_face"}


def test_missing_pictures_are_an_error_before_anything_is_scored(make_data: MakeData, grey_model: Any) -> None:
    index, folder = make_data()
    (folder / index[3].path).unlink()
    model = grey_model()
    with pytest.raises(DataIndexError, match=r"1 of the 24 pictures.*'one_3\.png'"):
        score(index, open_pictures(folder), model, ["H"])
    assert model.batches == []


def test_nothing_to_score(make_data: MakeData, grey_model: Any) -> None:
    _, folder = make_data()
    with pytest.raises(DataIndexError, match="nothing to evaluate"):
        score(Index(), open_pictures(folder), grey_model(), ["H"])
