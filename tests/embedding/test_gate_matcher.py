"""The gate by real embeddings: the embedder's own answers, thresholds of a record, and faces end to end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostiary import Embedder, read_image
from ostiary.errors import ConfigurationError, VaultError, WeightsError
from ostiary.faces.detector import FaceDetector
from ostiary.gate.calibration import Calibration, ModelHashes, Operating
from ostiary.gate.gate import Gate
from ostiary.gate.matching import EmbeddingMatcher, Likenesses, Shot, most_alike
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault
from ostiary.runtime.embedding_record import MatchThreshold

Make = Callable[..., Path]
NAMES = ("astronaut.png", "grace_hopper.jpg")


@pytest.fixture(scope="module")
def shots(pictures: Path) -> list[Shot]:
    """The faces of the two portraits."""
    read = [read_image(pictures / name) for name in NAMES]
    return [Shot(pixels, FaceDetector().detect(pixels)[0]) for pixels in read]


def operating(value: float) -> Operating:
    return Operating(
        value=value, target="fmr=0.001", rate=0.001, low=0.0, high=0.01, trials=4000, people=90, data="drawn",
        made=None,
    )  # fmt: skip


def test_probes_templates_and_similarities_are_the_embedders(calibrated: Path, shots: list[Shot]) -> None:
    matcher, embedder = EmbeddingMatcher(calibrated), Embedder(calibrated)
    assert matcher.problems == ()
    assert (len(matcher.model), len(matcher.preprocess_hash)) == (64, 64)
    probes = [matcher.probe(shot) for shot in shots]
    for probe, shot in zip(probes, shots, strict=True):
        np.testing.assert_allclose(probe, embedder.embed(shot.pixels).embedding, atol=1e-6)
    people = matcher.people([[matcher.template([shot])] for shot in shots])
    expected = embedder.compare(shots[0].pixels, shots[1].pixels)
    found = people.compare(probes[0])
    np.testing.assert_allclose(found.similarities, [1, expected.similarity], atol=1e-6)
    assert set(found.thresholds) == {expected.threshold}
    mean = np.frombuffer(matcher.template(shots), "<f4")
    np.testing.assert_allclose(mean, sum(probes) / np.linalg.norm(sum(probes)), atol=1e-6)
    together = matcher.people([[matcher.template([shot]) for shot in shots]])  # several templates are one person
    np.testing.assert_allclose(together.compare(mean).similarities, [1], atol=1e-6)
    assert not {str(number) for number in mean} & set(repr(people).split())


def test_the_threshold_is_the_sites_or_else_the_weights(
    weights: Path, calibrated: Path, make_weights: Make, threshold: MatchThreshold, shots: list[Shot]
) -> None:
    def threshold_of(matcher: EmbeddingMatcher) -> float:
        return float(
            matcher.people([[matcher.template(shots[:1])]]).compare(matcher.probe(shots[0])).thresholds[0]
        )

    own = EmbeddingMatcher(calibrated)
    assert threshold_of(own) == threshold.value
    hashes = ModelHashes(own.model, own.preprocess_hash)
    site = Calibration.of_matching(operating(0.97), hashes)
    assert threshold_of(EmbeddingMatcher(calibrated, calibration=site)) == 0.97
    assert threshold_of(EmbeddingMatcher(calibrated, calibration=Calibration())) == threshold.value
    with pytest.raises(ConfigurationError, match="was chosen for another matching model"):
        EmbeddingMatcher(weights, calibration=site)
    bare = EmbeddingMatcher(weights)
    assert "records no threshold for matching" in bare.problems[0]
    assert np.isnan(threshold_of(bare))
    everybody = make_weights(threshold=threshold.model_copy(update={"value": 0.0}))
    assert "nobody will be recognised" in EmbeddingMatcher(everybody).problems[0]


def test_the_mirrored_face_is_looked_at_as_it_was_when_the_threshold_was_chosen(
    calibrated: Path, make_weights: Make, threshold: MatchThreshold, shots: list[Shot]
) -> None:
    plain, mirrored = (Embedder(calibrated, flip=flip).embed(shots[0].pixels).embedding for flip in (False, True))
    own = EmbeddingMatcher(calibrated)
    site = Calibration.of_matching(operating(0.97), ModelHashes(own.model, own.preprocess_hash), flip=True)
    stored = make_weights(threshold=threshold.model_copy(update={"flip": True}))
    for matcher, expected in (
        (own, plain),
        (EmbeddingMatcher(calibrated, calibration=site), mirrored),
        (EmbeddingMatcher(stored), mirrored),
    ):
        np.testing.assert_allclose(matcher.probe(shots[0]), expected, atol=1e-6)


def test_a_template_that_is_none_of_this_model_is_refused(calibrated: Path, shots: list[Shot]) -> None:
    matcher = EmbeddingMatcher(calibrated)
    good = np.frombuffer(matcher.template(shots[:1]), "<f4")
    broken = [b"", b"x" * 191, good[:-1].tobytes(), (good * 1.01).tobytes(), np.full_like(good, np.nan).tobytes()]
    for template in broken:
        with pytest.raises(VaultError, match="no embedding of 48 numbers and unit length"):
            matcher.people([[template]])
    with pytest.raises(VaultError, match="point in opposite directions"):
        matcher.people([[good.tobytes(), (-good).tobytes()]])


@pytest.mark.parametrize(
    ("similarities", "thresholds", "expected"),
    [
        ([0.9, 0.95], [0.8, 0.8], (1, 0.95, "passed")),
        ([0.9, 0.95], [0.7, 0.8], (0, 0.9, "passed")),  # each by a threshold of its own
        ([0.5, 0.7], [0.8, 0.8], (1, 0.7, "failed")),
        ([np.nan, 0.9], [0.8, 0.8], (1, 0.9, "passed")),
        ([np.inf, 0.9], [0.8, 0.8], (1, 0.9, "passed")),
        ([1.1, -0.1], [0.8, 0.8], (None, None, "not_measured")),
        ([np.nan], [0.8], (None, None, "not_measured")),
        ([0.9], [np.nan], (None, None, "missing")),
        ([0.9, 0.9], [0.0, np.inf], (None, None, "missing")),
        ([0.9, np.nan], [np.nan, 0.8], (None, None, "not_measured")),
        ([], [], (None, None, "missing")),
    ],
)
def test_who_is_most_alike(similarities: list[float], thresholds: list[float], expected: tuple[Any, ...]) -> None:
    assert most_alike(Likenesses(np.array(similarities, float), np.array(thresholds, float))) == expected


def test_a_gate_from_photo_to_decision(calibrated: Path, pictures: Path, tmp_path: Path) -> None:
    """Detector, quality, liveness and matching as they are; the embedding is a toy, and its threshold high."""
    astronaut, hopper = (pictures / name for name in NAMES)
    own = EmbeddingMatcher(calibrated)
    site = Calibration.of_matching(operating(0.99), ModelHashes(own.model, own.preprocess_hash))
    matcher = EmbeddingMatcher(calibrated, calibration=site)
    with Vault.create(tmp_path / "vault.db", bytes(range(32))) as vault:
        gate = Gate(vault, matcher=matcher, policy=Policy(lockout=None, thorough=True))
        report = gate.enrol("ada", astronaut, consent="said", watched=True)
        assert report.sentence == "'ada' is enrolled from one photo; no photo is kept."
        same, other = gate.verify(astronaut.read_bytes(), "ada"), gate.verify(read_image(hopper), "ada")
    assert same.similarity == pytest.approx(1, abs=1e-6)
    assert same.outcomes["matching"] == "passed"
    assert same.liveness is not None
    assert same.accepted == (same.outcomes["liveness"] == "passed")
    assert set(same.milliseconds) == {"enrolment", "detection", "quality", "liveness", "matching"}
    assert other.outcomes["matching"] == "failed"
    assert not other.accepted
    assert other.box is not None


def test_the_example_of_the_page_runs(
    calibrated: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text("utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    assert len(example.strip().splitlines()) <= 6
    for name in ("ada1.jpg", "ada2.jpg", "at_the_door.jpg"):
        (tmp_path / name).write_bytes((pictures / NAMES[0]).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSTIARY_FACE_WEIGHTS", str(calibrated))
    exec(compile(example, "gate.md", "exec"), {"key": bytes(range(32))})
    assert capsys.readouterr().out.startswith("Decision(accepted=")


def test_there_is_no_gate_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTIARY_FACE_WEIGHTS", str(tmp_path / "absent.onnx"))
    with Vault.create(tmp_path / "vault.db", bytes(range(32))) as vault, pytest.raises(WeightsError):
        Gate(vault)
