"""Painted attacks: from the generator alone, always visible, with the face where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from ostiary.faces.detector import Box
from ostiary.training import recapture
from ostiary.training.clues import LEAST_CHANGE, SPECIES, Clues, Species
from ostiary.training.recapture import Grid

ASTRONAUT = Path(__file__).parents[1] / "data" / "astronaut.png"
FACE = Box(60, 43, 89, 112)  # within the window below
MARKS = ("moire", "pixels", "bands", "bezel", "halftone", "grain", "sheet", "glare")
REST = ("tilt", "uneven", "exposed", "haze", "bloom", "blur", "stored")


@pytest.fixture(scope="module")
def window() -> np.ndarray:
    """The astronaut's face with its surroundings, as training keeps it."""
    return np.asarray(Image.open(ASTRONAUT).convert("RGB"))[20:220, 120:320]


def only(*marks: str, **more: float) -> Clues:
    return Clues(**{**dict.fromkeys(MARKS + REST, 0.0), **dict.fromkeys(marks, 1.0), **more})


def change(painted: np.ndarray, picture: np.ndarray, box: Box) -> float:
    rows, columns = slice(int(box.y), int(box.y + box.height)), slice(int(box.x), int(box.x + box.width))
    return float(np.abs(painted[rows, columns].astype(int) - picture[rows, columns]).mean())


@pytest.mark.parametrize("species", SPECIES)
def test_the_same_generator_state_paints_the_same(window: np.ndarray, species: Species) -> None:
    before = window.copy()
    first, again = (
        [Clues().paint_as(species, window, FACE, np.random.default_rng([3, i])) for i in range(12)]
        for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) == 12
    assert np.array_equal(window, before)


@pytest.mark.parametrize("species", SPECIES)
@pytest.mark.parametrize("faintest_only", [False, True])
def test_every_painted_face_is_visibly_changed(window: np.ndarray, species: Species, faintest_only: bool) -> None:
    clues = Clues(plainest=0) if faintest_only else Clues()
    changes = [
        change(clues.paint_as(species, window, FACE, np.random.default_rng(i)), window, FACE) for i in range(40)
    ]
    assert min(changes) >= LEAST_CHANGE
    assert np.median(changes) > 2 * LEAST_CHANGE


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("species", SPECIES)
def test_a_picture_of_one_grey_is_changed_as_well(species: Species, level: int) -> None:
    picture = np.full((60, 50, 3), level, np.uint8)
    box = Box(10, 10, 30, 40)
    for seed in range(10):
        painted = only("glare", plainest=0.0).paint_as(species, picture, box, np.random.default_rng(seed))
        assert change(painted, picture, box) >= LEAST_CHANGE


@pytest.mark.parametrize("size", [40, 600])
@pytest.mark.parametrize("species", SPECIES)
def test_any_size(window: np.ndarray, species: Species, size: int) -> None:
    picture = np.asarray(Image.fromarray(window).resize((size, size + 3)))
    box = Box(*(value * size / 200 for value in FACE))
    for seed in range(6):
        painted = Clues().paint_as(species, picture, box, np.random.default_rng(seed))
        assert painted.shape == picture.shape
        assert painted.dtype == np.uint8
        assert change(painted, picture, box) >= LEAST_CHANGE


@pytest.mark.parametrize("box", [Box(-30, -20, 300, 260), Box(500, 500, 40, 40), Box(90, 90, 1.5, 1.5)])
def test_any_box(window: np.ndarray, box: Box) -> None:
    for seed in range(15):
        assert Clues().paint(window, box, np.random.default_rng(seed)).shape == window.shape


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 90, 3), (90, 3, 3)])
def test_any_shape(shape: tuple[int, int, int]) -> None:
    for seed in range(15):
        picture = np.full(shape, 90, np.uint8)
        assert Clues().paint(picture, Box(0, 0, 3, 3), np.random.default_rng(seed)).shape == shape


def test_a_read_only_grey_picture(window: np.ndarray) -> None:
    grey = np.repeat(window.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    grey.flags.writeable = False
    assert Clues().paint(grey, FACE, np.random.default_rng(0)).shape == grey.shape


def test_the_middle_of_the_face_stays(window: np.ndarray) -> None:
    dotted = np.full_like(window, 40)
    x, y = FACE.x + FACE.width / 2, FACE.y + FACE.height / 2
    dotted[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    grid = Grid.around(FACE, dotted.shape)
    for seed in range(30):
        bent = recapture.tilted(dotted, grid, 1.0, 1.0, np.random.default_rng(seed)).mean(axis=2) - 40
        rows, columns = np.mgrid[: bent.shape[0], : bent.shape[1]]
        found = (bent * columns).sum() / bent.sum(), (bent * rows).sum() / bent.sum()
        assert found == pytest.approx((int(x), int(y)), abs=1.0)


def test_the_warp_moves_nothing_far(window: np.ndarray) -> None:
    height, width = window.shape[:2]
    ramps = np.zeros_like(window)
    ramps[..., 0], ramps[..., 1] = np.arange(width), np.arange(height)[:, None]
    grid = Grid.around(FACE, window.shape)
    face = np.s_[int(FACE.y) : int(FACE.y + FACE.height), int(FACE.x) : int(FACE.x + FACE.width)]
    for seed in range(30):
        bent = recapture.tilted(ramps, grid, 1.0, 1.0, np.random.default_rng(seed))
        moved = np.abs(bent.astype(int) - ramps)[face]
        assert moved.max() <= 0.2 * FACE.height
        assert moved.max() > 0


def test_moire_has_the_period_that_was_asked_for() -> None:
    grid = Grid.around(Box(0, 0, 200, 200), (200, 200))
    wave = recapture._grating(grid, period=5.0, angle=0.0, phases=np.zeros(1))[0]
    assert np.abs(np.fft.rfft(wave[0])).argmax() == 20  # 5 units are 10 of the 200 pixels
    assert np.abs(wave - wave[0]).max() < 1e-5
    small = Grid.around(Box(0, 0, 20, 20), (200, 200))
    finest = np.abs(np.fft.rfft(recapture._grating(small, 5.0, 0.0, np.zeros(1))[0, 0])).argmax()
    assert 200 / finest == pytest.approx(2.1, abs=0.02)


def test_curved_waves_are_the_cosine_that_they_stand_for() -> None:
    grid = Grid.around(Box(10, 5, 60, 80), (90, 70))
    x, y = np.meshgrid(grid.x.astype(float), grid.y.astype(float))
    phases = np.array([0.3, 2.0])
    direct = np.cos(
        2 * np.pi / 7 * (np.cos(0.4) * x + np.sin(0.4) * y + 0.001 * x**2 - 0.002 * y**2) + phases[:, None, None]
    )
    assert np.abs(recapture._grating(grid, 7, 0.4, phases, (0.1, -0.2)) - direct).max() < 1e-4


@pytest.mark.parametrize(
    ("species", "mark"),
    [("replay_simulated", m) for m in ("moire", "pixels", "bands", "bezel", "glare")]
    + [("print_simulated", m) for m in ("halftone", "grain", "sheet", "glare")],
)
def test_each_mark_alone_leaves_structure_in_a_plain_picture(species: Species, mark: str) -> None:
    """Colour alone would not do: what is painted on an even grey varies over the picture."""
    grey = np.full((160, 160, 3), 128, np.uint8)
    unused = "grain" if species == "replay_simulated" else "bands"
    clues = only(mark, unused, plainest=0.0)
    for seed in range(8):
        painted = clues.paint_as(species, grey, Box(40, 30, 80, 100), np.random.default_rng(seed))
        assert painted.reshape(-1, 3).std(axis=0).max() > 1.5


def test_one_mark_at_least_is_drawn(window: np.ndarray) -> None:
    rare = only(moire=1e-9, grain=1e-9)
    grey = np.full((100, 100, 3), 128, np.uint8)
    for species in ("replay_simulated", "print_simulated"):
        painted = rare.paint_as(species, grey, Box(20, 20, 60, 60), np.random.default_rng(1))
        assert painted.reshape(-1, 3).std(axis=0).max() > 1.5


def test_species_come_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    assert {Clues(replays=0, prints=3, recaptures=0).draw(rng) for _ in range(20)} == {"print_simulated"}
    drawn = [Clues(replays=6, prints=3, recaptures=1).draw(rng) for _ in range(2000)]
    assert [drawn.count(name) / 2000 for name in SPECIES] == pytest.approx([0.6, 0.3, 0.1], abs=0.04)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"moire": 1.5}, "less than or equal to 1"),
        ({"replays": -1}, "greater than or equal to 0"),
        ({"moir": 0.5}, "Extra inputs"),
        ({"replays": 0, "prints": 0, "recaptures": 0}, "must be above 0"),
        ({"faintest": 0.8, "plainest": 0.2}, "faintest 0.8 is above"),
        (dict.fromkeys(MARKS, 0), "one of moire, pixels"),
        ({**dict.fromkeys(MARKS, 0), "moire": 1}, "one of halftone"),
    ],
)
def test_bad_settings(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Clues(**settings)
