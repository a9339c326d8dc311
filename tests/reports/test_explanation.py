from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostiary.errors import ConfigurationError, InputError
from ostiary.images import read_image
from ostiary.liveness import Liveness
from ostiary.reports.explanation import (
    FRAME_AREA,
    draw_explanation,
    draw_mean_maps,
    explain,
    explain_picture,
    mean_map,
)

SIZE = 64


class SpotModel:
    """Its log-odds are the mean grey level of a spot, times ``weight``; it sees nothing else."""

    def __init__(self, spot: tuple[slice, slice], weight: float = 0.1) -> None:
        self.spot, self.weight = spot, weight
        self.batches: list[int] = []

    def logits(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        assert word == "HLH"
        self.batches.append(len(crops))
        level = crops[(slice(None), *self.spot)].astype(np.float32).mean(axis=(1, 2, 3))
        return np.stack([np.full_like(level, 3.0), 3 + self.weight * level], axis=1)


SPOT = (slice(8, 16), slice(40, 48))


@pytest.fixture
def crop() -> NDArray[np.uint8]:
    """Black with a white spot at SPOT."""
    found = np.zeros((SIZE, SIZE, 3), np.uint8)
    found[SPOT] = 255
    return found


@pytest.mark.parametrize("sign", [1, -1])
def test_the_map_shows_the_place_and_which_way_it_speaks(crop: NDArray[np.uint8], sign: int) -> None:
    model = SpotModel(SPOT, 0.1 * sign)
    found = explain(model, crop, "HLH", steps=8)
    assert found.log_odds == pytest.approx(25.5 * sign)
    assert sum(model.batches) == 1 + 8 * 8
    assert max(model.batches) <= 32
    peak = np.unravel_index(np.argmax(sign * found.effect), found.effect.shape)
    assert abs(peak[0] - 11.5) <= 4
    assert abs(peak[1] - 43.5) <= 4
    assert np.abs(found.effect[-16:, :16]).max() < 0.02 * sign * found.effect[peak]
    assert 0 < sign * found.effect[peak] < abs(found.log_odds)


def test_where_nothing_matters_the_map_is_empty(crop: NDArray[np.uint8]) -> None:
    found = explain(SpotModel(SPOT, 0.0), crop, "HLH", steps=4)
    assert found.effect.shape == (SIZE, SIZE)
    assert not found.effect.any()
    assert found.liveness == 0.5
    plain = explain(SpotModel(SPOT), np.full_like(crop, 90), "HLH", steps=4)  # blur changes nothing either
    assert not plain.effect.any()


def test_the_mean_of_maps_tells_face_from_borders(crop: NDArray[np.uint8]) -> None:
    middle, edge = (slice(28, 36), slice(28, 36)), (slice(0, 64), slice(0, 6))
    pictures = []
    for spot in (middle, edge):
        picture = np.zeros_like(crop)
        picture[spot] = 255
        pictures.append([picture, picture // 2])
    face = mean_map(SpotModel(middle), pictures[0], "HLH")
    border = mean_map(SpotModel(edge), pictures[1], "HLH")
    assert face is not None
    assert border is not None
    assert face.n == 2
    assert face.strength.sum() == pytest.approx(1)
    assert face.frame_share < 0.05
    assert border.frame_share > 0.6
    assert face.describe().startswith("mainly at the face")
    assert border.describe().startswith("mainly at the borders")
    np.testing.assert_allclose(face.picture, np.mean([p.mean(axis=2) for p in pictures[0]], axis=0))


def test_a_network_that_looks_nowhere_has_an_even_map(crop: NDArray[np.uint8]) -> None:
    found = mean_map(SpotModel(SPOT, 0.0), [crop, crop], "HLH", steps=4)
    assert found is not None
    assert found.frame_share == pytest.approx(FRAME_AREA)
    assert found.describe().startswith("at the face and around it alike: 44 %")
    assert mean_map(SpotModel(SPOT), [], "HLH") is None


def test_drawings_show_blue_for_a_living_person_and_red_for_an_attack(
    crop: NDArray[np.uint8], tmp_path: Path
) -> None:
    def colours(sign: int) -> NDArray[np.float64]:
        """How much more blue than red the right half of the drawing is, where the map is."""
        found = explain(SpotModel(SPOT, sign * 0.1), crop, "HLH", steps=8)
        draw_explanation(found, crop, tmp_path / "map.png", "title")
        drawn = read_image(tmp_path / "map.png").astype(float)
        half = drawn[:, drawn.shape[1] // 2 : int(drawn.shape[1] * 0.85)]
        return (half[..., 2] - half[..., 0]).sum()

    assert colours(1) > 0 > colours(-1)
    mean = mean_map(SpotModel(SPOT), [crop], "HLH", steps=4)
    assert mean is not None
    draw_mean_maps({"bona fide": mean}, tmp_path / "one.png", "title")
    draw_mean_maps({"bona fide": mean, "attacks": mean}, tmp_path / "two.png", "title")
    one, two = (read_image(tmp_path / name).shape for name in ("one.png", "two.png"))
    assert one[1] == two[1]
    assert one[0] < two[0]


def test_the_verdict_is_that_of_the_check(pictures: Path, tmp_path: Path) -> None:
    sentence = explain_picture(pictures / "astronaut.png", tmp_path / "why.png", configuration="HHH")
    (face,) = Liveness(configuration="HHH").check(pictures / "astronaut.png").faces
    verdict = "accepted" if face.accepted else "refused"
    assert sentence == (
        f"{verdict}: liveness {face.liveness:.3f}, threshold {face.threshold:.3f}, configuration HHH"
    )
    assert read_image(tmp_path / "why.png").shape[1] > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["why.png"]


def test_what_cannot_be_explained(pictures: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "blank.png")
    face = pictures / "astronaut.png"
    with pytest.raises(InputError, match=r"blank\.png: no face"):
        explain_picture(tmp_path / "blank.png", tmp_path / "why.png")
    with pytest.raises(ConfigurationError, match=r"end in \.png"):
        explain_picture(face, tmp_path / "why.gif")
    with pytest.raises(ConfigurationError, match="no configuration 'XXX'"):
        explain_picture(face, tmp_path / "why.png", configuration="XXX")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        explain_picture(face, tmp_path / "nowhere" / "why.png")
    assert [path.name for path in tmp_path.iterdir()] == ["blank.png"]
