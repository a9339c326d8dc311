"""The runtime's model: words, batches, the cache of specialised sessions, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError, WeightsError
from ostiary.runtime import liveness as module
from ostiary.runtime.container import read_container
from ostiary.runtime.liveness import LivenessModel, fixed_dimensions, selector, softmax
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.session import make_session

WORDS = ["HH", "HL", "HB", "LH", "LL", "LB", "BH", "BL", "BB"]


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


def test_switching_at_every_call_equals_specialised_sessions(tiny_weights: Path, crops: NDArray[np.uint8]) -> None:
    model = LivenessModel(tiny_weights, keep=9)
    expected = {word: model.logits(crops, word) for word in WORDS}
    for word in [WORDS[i] for i in np.random.default_rng(1).integers(0, 9, 60)]:
        np.testing.assert_allclose(model.logits(crops, word, switched=True), expected[word], atol=1e-5)


@pytest.mark.parametrize("switched", [False, True])
def test_a_batch_equals_its_crops_one_by_one(tiny_weights: Path, crops: NDArray[np.uint8], switched: bool) -> None:
    model = LivenessModel(tiny_weights)
    one_by_one = np.concatenate([model.logits(crops[i : i + 1], "LB", switched=switched) for i in range(5)])
    np.testing.assert_allclose(model.logits(crops, "LB", switched=switched), one_by_one, atol=1e-5)
    empty = model.liveness(crops[:0], "LB", switched=switched)
    assert empty.shape == (0,)
    assert empty.dtype == np.float32


def test_liveness_is_the_softmax_of_column_one(tiny_weights: Path, crops: NDArray[np.uint8]) -> None:
    model = LivenessModel(tiny_weights)
    logits = model.logits(crops).astype(np.float64)
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    np.testing.assert_allclose(model.liveness(crops), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.liveness(crops), model.liveness(crops, "HL"))  # the default word


def test_least_recently_used_sessions_are_dropped(tiny_weights: Path, crops: NDArray[np.uint8]) -> None:
    model = LivenessModel(tiny_weights, keep=2)
    assert model.cached == []
    for word in ("HH", "LL", "HH", "BB"):
        model.logits(crops, word)
    assert model.cached == ["HH", "BB"]
    model.logits(crops, "LL", switched=True)
    assert model.cached == ["HH", "BB"]


def test_a_cached_session_is_not_made_again(
    tiny_weights: Path, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, int]] = []

    def counted(content: bytes, *, threads: int, fixed_dimensions: dict[str, int]) -> object:
        made.append(fixed_dimensions)
        return make_session(content, threads=threads, fixed_dimensions=fixed_dimensions)

    monkeypatch.setattr(module, "make_session", counted)
    model = LivenessModel(tiny_weights, keep=2)
    for word in ("HH", "LL", "HH", "LL"):
        model.logits(crops, word)
        model.logits(crops, word, switched=True)
    assert made == [{"w0": 2, "w1": 2}, {}, {"w0": 1, "w1": 1}]


def test_many_threads_get_the_right_answers(tiny_weights: Path, crops: NDArray[np.uint8]) -> None:
    model = LivenessModel(tiny_weights, keep=1)
    expected = {word: LivenessModel(tiny_weights).logits(crops, word) for word in WORDS}

    def ask(turn: int) -> bool:
        word = WORDS[turn % 9]
        return np.allclose(model.logits(crops, word, switched=turn % 2 == 0), expected[word], atol=1e-5)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(90)))


@pytest.mark.parametrize("word", ["H", "HHH", "HX", "hl", ""])
def test_unknown_words_are_refused_with_a_list(tiny_weights: Path, crops: NDArray[np.uint8], word: str) -> None:
    model = LivenessModel(tiny_weights)
    with pytest.raises(ConfigurationError, match="it has: HH, HL, HB, LH"):
        model.logits(crops, word)
    with pytest.raises(ConfigurationError):
        model.threshold(word)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 16, 16, 3), np.float32),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((1, 3, 16, 16), np.uint8),
        np.zeros((1, 16, 17, 3), np.uint8),
    ],
)
def test_crops_of_another_kind_are_refused(tiny_weights: Path, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"it takes uint8 \(N, 16, 16, 3\)"):
        LivenessModel(tiny_weights).logits(wrong)


def test_thresholds_come_from_the_file(tiny_weights: Path) -> None:
    model = LivenessModel(tiny_weights)
    assert model.threshold().value == 0.5
    with pytest.raises(ConfigurationError, match="records no threshold for LL"):
        model.threshold("LL")


def test_a_file_exchanged_after_loading_is_noticed(
    tiny_weights: Path, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(tiny_weights.read_bytes())
    model = LivenessModel(path)
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="not a whole"):
        model.logits(crops)


def test_the_runtime_refuses_another_selector_once_specialised(tiny_weights: Path) -> None:
    session = make_session(read_container(tiny_weights, Metadata)[1], fixed_dimensions=fixed_dimensions("HH"))
    pixels = np.zeros((1, 3, 16, 16), np.float32)
    session.run(None, {"input": pixels, "sel": selector("HH")})
    with pytest.raises(Exception, match="invalid dimensions for input: sel"):
        session.run(None, {"input": pixels, "sel": selector("LL")})


def test_keep_and_repr(tiny_weights: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        LivenessModel(tiny_weights, keep=0)
    assert repr(LivenessModel(tiny_weights)) == "LivenessModel('tiny' '1', 9 words)"


@given(arrays.arrays(np.float32, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_softmax_is_a_distribution_for_any_finite_logits(logits: NDArray[np.float32]) -> None:
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
