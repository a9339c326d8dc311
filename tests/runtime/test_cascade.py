"""The cascade asks the second word about doubtful crops alone, and decides as the rule says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper
from pydantic import ValidationError

from ostiary.errors import ConfigurationError, InputError
from ostiary.runtime.cascade import Cascade, Judgement
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, read_metadata, seal
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Band, Metadata, Threshold

FIRST, SECOND = "LL", "BB"


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def weights(tiny_weights: Path, crops: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thresholds for both words in the midst of their answers, and a band around the first."""
    model = LivenessModel(tiny_weights)
    thresholds = {word: float(np.median(model.liveness(crops, word))) for word in (FIRST, SECOND)}
    low, high = (float(limit) for limit in np.quantile(model.liveness(crops, FIRST), [0.3, 0.7]))
    configurations = dict(model.metadata.configurations)
    for word, value in thresholds.items():
        threshold = Threshold(value=value, target="eer", rate=0.1, n_bona_fide=6, n_attack=6, data="noise")
        configurations[word] = configurations[word].model_copy(update={"threshold": threshold})
    band = Band(first=FIRST, second=SECOND, low=low, high=high, share=0.4, n_bona_fide=6, n_attack=6, data="noise")
    return _resealed(
        tiny_weights,
        model.metadata.model_copy(update={"configurations": configurations, "cascade": band}),
        tmp_path_factory.mktemp("cascade") / "cascade.onnx",
    )


@pytest.fixture
def model(weights: Path) -> LivenessModel:
    return LivenessModel(weights)


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("limits", ["stored", "nothing goes on", "all go on"])
def test_it_decides_as_the_rule_says(
    model: LivenessModel, crops: NDArray[np.uint8], limits: str, switched: bool
) -> None:
    threshold = model.threshold(FIRST).value
    low, high = {"nothing goes on": (threshold, threshold), "all go on": (0.0, 2.0)}.get(limits, (None, None))
    band = None if low is None else Band(first=FIRST, second=SECOND, low=low, high=high)
    cascade = Cascade(model, band, switched=switched)
    judgements = cascade.judge(crops)
    firsts, seconds = model.liveness(crops, FIRST), model.liveness(crops, SECOND)
    words = []
    for judgement, first, second in zip(judgements, firsts, seconds, strict=True):
        goes_on = cascade.band.low <= first < cascade.band.high
        words.append(SECOND if goes_on else FIRST)
        assert judgement.word == words[-1]
        assert judgement.liveness == pytest.approx(second if goes_on else first, abs=1e-6)
        assert judgement.threshold == model.threshold(judgement.word).value
        assert judgement.accepted == (judgement.liveness >= judgement.threshold)
    assert words.count(SECOND) == {"stored": 4, "nothing goes on": 0, "all go on": 12}[limits]
    assert len({judgement.accepted for judgement in judgements}) == 2


def test_only_doubtful_crops_go_on_and_from_the_trunk(
    model: LivenessModel, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    resume = model.resume

    def counted(activations: NDArray[np.float32], word: str, *, switched: bool) -> NDArray[np.float32]:
        asked.append(len(activations))
        return resume(activations, word, switched=switched)

    monkeypatch.setattr(model, "resume", counted)
    Cascade(model).judge(crops)
    assert asked == [4]
    assert model.cached == [FIRST, SECOND]  # both of the sessions that a model keeps by default


def test_a_batch_is_judged_as_its_crops_one_by_one(model: LivenessModel, crops: NDArray[np.uint8]) -> None:
    cascade = Cascade(model)
    together = cascade.judge(crops)
    alone = [judgement for crop in crops for judgement in cascade.judge(crop[None])]
    assert [(j.word, j.accepted) for j in together] == [(j.word, j.accepted) for j in alone]
    assert [j.liveness for j in together] == pytest.approx([j.liveness for j in alone], abs=1e-6)
    assert cascade.judge(crops[:0]) == []


def test_activations_serve_any_word(model: LivenessModel, crops: NDArray[np.uint8]) -> None:
    for switched in (False, True):
        logits, activations = model.start(crops, "HB", switched=switched)
        np.testing.assert_allclose(logits, model.logits(crops, "HB"), atol=1e-5)
        assert activations.shape == (12, *model.trunk.shape) == (12, 16, 8, 8)
        for word in model.words:
            resumed = model.resume(activations, word, switched=switched)
            np.testing.assert_allclose(resumed, model.logits(crops, word), atol=1e-5)
        logits, activations = model.start(crops[:0], switched=switched)
        assert logits.shape == model.resume(activations, switched=switched).shape == (0, 2)


def test_what_is_no_number_goes_on_and_is_not_accepted(
    model: LivenessModel, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = np.full((1, 2), np.nan, np.float32)
    monkeypatch.setattr(model, "start", lambda *_, **__: (wrong, np.zeros((1, 16, 8, 8), np.float32)))
    (judgement,) = Cascade(model).judge(crops[:1])
    assert judgement.word == SECOND
    monkeypatch.setattr(model, "resume", lambda *_, **__: wrong)
    (judgement,) = Cascade(model).judge(crops[:1])
    assert not judgement.accepted
    assert not Judgement(float("inf"), 0.5, SECOND).accepted


def test_the_stored_band_comes_back(weights: Path) -> None:
    band = read_metadata(weights, Metadata).cascade
    assert band is not None
    assert (band.first, band.second, band.share, band.data) == (FIRST, SECOND, 0.4, "noise")
    assert Cascade(LivenessModel(weights)).band == band


def test_a_band_of_unknown_words_is_refused_in_weights(weights: Path) -> None:
    record = read_metadata(weights, Metadata).model_dump()
    record["cascade"]["second"] = "BBB"
    with pytest.raises(ValidationError, match="cascade names a word"):
        Metadata.model_validate(record)


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.4), (-0.1, 0.5), (0.1, float("nan")), (0.1, float("inf"))])
def test_impossible_bands_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValidationError):
        Band(first=FIRST, second=SECOND, low=low, high=high)


@pytest.mark.parametrize(
    ("band", "message"),
    [
        (Band(first="LX", second=SECOND, low=0, high=2), "no configuration 'LX'"),
        (Band(first=FIRST, second="HH", low=0, high=2), "no threshold for HH"),
        (Band(first=FIRST, second=SECOND, low=0, high=0.001), "does not hold the threshold of LL"),
    ],
)
def test_bands_that_do_not_fit_the_weights_are_refused(model: LivenessModel, band: Band, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cascade(model, band)


def test_weights_without_a_band_or_a_trunk_are_refused(
    tiny_weights: Path, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="records no band"):
        Cascade(LivenessModel(tiny_weights))
    metadata = read_metadata(tiny_weights, Metadata).model_copy(update={"trunk": None})
    model = LivenessModel(_resealed(tiny_weights, metadata, tmp_path / "older.onnx"))
    message = r"^older\.onnx cannot go on from one configuration to another, as a cascade does"
    for refused in (lambda: Cascade(model), lambda: model.start(crops), lambda: model.resume(crops)):
        with pytest.raises(ConfigurationError, match=message):
            refused()


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 16, 8, 8)), np.zeros((1, 16, 8, 9), np.float32), np.zeros((16, 8, 8), np.float32)]
)
def test_activations_of_another_kind_are_refused(model: LivenessModel, wrong: NDArray[np.float32]) -> None:
    with pytest.raises(InputError, match=r"it goes on from float32 \(N, 16, 8, 8\)"):
        model.resume(wrong)


def _resealed(weights: Path, metadata: Metadata, out: Path) -> Path:
    model = onnx.load(str(weights))
    del model.metadata_props[:]
    helper.set_model_props(model, {MODEL_KEY: metadata.model_dump_json(exclude_none=True), HASH_KEY: ZERO_HASH})
    out.write_bytes(seal(model.SerializeToString()))
    return out
