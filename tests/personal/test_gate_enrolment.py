"""From photos to a door that knows its people by networks of their own, and what it refuses on the way."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from typer.testing import CliRunner, Result

from ostiary.cli.app import app
from ostiary.errors import ConfigurationError, OstiaryError
from ostiary.export.generator import GeneratorCard, export_generator
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import Face
from ostiary.gate.calibration import Calibration, Operating, model_hashes
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import Shot
from ostiary.gate.personal_matching import PersonalEnrolment, PersonalMatcher
from ostiary.gate.policy import Policy
from ostiary.gate.setup import Stages
from ostiary.gate.vault import Vault
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.generator import Generator
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import F112

KEY = bytes(range(32))
Make = Callable[..., Template]


class Alive:
    """To whom every face lives."""

    configuration = "HHH"
    problems: tuple[str, ...] = ()

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        return [Measured(0.9, 0.5) for _ in faces]


@pytest.fixture
def matcher(files: dict[str, Path], embedder: EmbeddingModel, generator_file: Path) -> PersonalMatcher:
    return PersonalMatcher(files["input"], generate=PersonalEnrolment(embedder.path, generator_file))


@pytest.fixture
def gate(matcher: PersonalMatcher, tmp_path: Path) -> Iterator[Gate]:
    with Vault.create(tmp_path / "vault.db", KEY) as vault:
        yield Gate(vault, liveness=Alive(), matcher=matcher, policy=Policy(lockout=None))


def test_a_template_is_the_generators_of_the_shots_embeddings(
    matcher: PersonalMatcher,
    embedder: EmbeddingModel,
    generator_file: Path,
    files: dict[str, Path],
    shots: list[Shot],
) -> None:
    crops = np.stack([aligned_crop(x.pixels, x.face.landmarks, embedder.preprocess) for x in shots])
    generator, verifier = Generator(generator_file), PersonalVerifier(files["input"])
    probe = matcher.probe(shots[1])
    for some in (slice(0, 1), slice(0, 2)):
        made = Template.from_bytes(matcher.template(shots[some]))
        expected = generator.template(embedder.embed(crops[some]))
        assert (made.photos, made.threshold, made.generator) == (len(shots[some]), 0.5, expected.generator)
        answers = verifier.similarity(probe[None], [made, expected])
        np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)
    assert matcher.generator == expected.generator.hex()
    assert matcher.problems == ()


def test_a_gate_from_photo_to_decision(gate: Gate, pictures: Path, tmp_path: Path) -> None:
    astronaut, hopper = pictures / "astronaut.png", pictures / "grace_hopper.jpg"
    report = gate.enrol("ada", [astronaut, astronaut], consent="said")
    assert report.sentence == "'ada' is enrolled from 2 photos; no photo is kept."
    (stored,) = gate.vault.open("ada").templates
    assert (stored.kind, len(stored.template)) == ("personal", 26_054)
    same, other = gate.verify(astronaut, "ada"), gate.verify(hopper, "ada")
    assert (same.accepted, other.accepted, other.reason) == (True, False, "another_person")
    assert same.similarity == pytest.approx(1 / (1 + np.exp(-2)), abs=0.02)
    assert other.similarity == pytest.approx(1 / (1 + np.exp(2)), abs=0.02)
    assert gate.identify(astronaut).handle == "ada"
    assert gate.identify(hopper).reason == "unknown"
    assert gate.enrol("eva", astronaut, consent="said").reason == "enrolled_as_another"
    disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert stored.template[64:128] not in disk


def photo(picture: Image.Image, kind: str) -> Image.Image:
    if kind == "blurred":
        return picture.filter(ImageFilter.GaussianBlur(8))
    if kind == "tiny":
        return picture.resize((64, 64))
    if kind == "two faces":
        both = Image.new("RGB", (2 * picture.width, picture.height))
        both.paste(picture, (0, 0))
        both.paste(picture, (picture.width, 0))
        return both
    return Image.new("RGB", picture.size, (90, 90, 90))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("no face", "no_face"), ("two faces", "several_faces"), ("blurred", "blurred"), ("tiny", "too_small")],
)
def test_a_photo_that_is_no_good_makes_no_template(gate: Gate, pictures: Path, kind: str, reason: str) -> None:
    bad = np.asarray(photo(Image.open(pictures / "astronaut.png").convert("RGB"), kind))
    report = gate.enrol("ada", bad, consent="said", watched=True)
    assert (report.enrolled, report.reason) == (False, reason)
    assert report.sentence.startswith("Photo 1 cannot be enrolled: ")
    assert gate.vault.list() == ()


def spoiled(how: str, good: bytes, make: Make) -> bytes:
    if how == "cut short":
        return good[:-1]
    if how == "a flipped bit":
        return good[:5000] + bytes([good[5000] ^ 1]) + good[5001:]
    if how == "of another verifier":
        return make(architecture="f112", threshold=0.5).to_bytes()
    content = bytearray(make(threshold=0.5).to_bytes())
    content[64:68] = np.float32(np.nan).tobytes()
    content[60:64] = bytes(4)
    content[60:64] = zlib.crc32(content).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize("how", ["cut short", "a flipped bit", "of another verifier", "with a NaN"])
def test_a_spoiled_template_gives_no_similarity(
    gate: Gate, matcher: PersonalMatcher, shots: list[Shot], make: Make, pictures: Path, how: str
) -> None:
    """The vault's own seal comes before all this: here the damage is inside of it."""
    template = spoiled(how, matcher.template(shots[:1]), make)
    gate.vault.add("ada", template, "personal", matcher.model, matcher.preprocess_hash, consent="said")
    for decision in (gate.verify(pictures / "astronaut.png", "ada"), gate.identify(pictures / "astronaut.png")):
        assert (decision.accepted, decision.reason, decision.similarity) == (False, "error", None)
        assert decision.problem is not None


def test_a_generator_belongs_to_one_file_of_weights_and_to_one_verifier(
    embedder: EmbeddingModel,
    generator_file: Path,
    generator_card: GeneratorCard,
    hypernetwork: Hypernetwork,
    files: dict[str, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match=r"the embeddings of noise \(\w{12}\), and slim_face.onnx is"):
        PersonalEnrolment("slim_face", generator_file)
    large = Hypernetwork("head", F112, dimension=hypernetwork.dimension)
    card = replace(generator_card, architecture="f112", preprocess=F112.preprocess)
    other = export_generator(large, tmp_path / "large.onnx", card)
    with pytest.raises(ConfigurationError, match=r"large.onnx makes verifiers f112, and input.onnx runs f64"):
        PersonalMatcher(files["input"], generate=PersonalEnrolment(embedder.path, other))
    bare = export_generator(hypernetwork, tmp_path / "bare.onnx", replace(generator_card, threshold=None))
    enrolment = PersonalEnrolment(embedder.path, bare)
    assert repr(enrolment) == "PersonalEnrolment(Generator(head f64, for noise))"
    (problem,) = PersonalMatcher(files["input"], generate=enrolment).problems
    assert "bare.onnx records no threshold for matching" in problem


@pytest.fixture
def door(
    embedder: EmbeddingModel,
    generator_file: Path,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Result]:
    """The commands with all that they need in variables; every face lives."""
    model = LivenessModel()
    low = Operating(
        value=1e-9, target="bpcer=0.05", rate=0.05, low=0.0, high=0.1, trials=60, people=60, data="drawn",
        made=None,
    )  # fmt: skip
    word = model.metadata.default_configuration
    site = tmp_path / "site.json"
    Calibration.of_liveness({word: low}, model_hashes(model.path, model.metadata.preprocess)).save(site)
    (tmp_path / "key").write_bytes(KEY)
    for name, value in (
        ("VAULT", tmp_path / "door.db"), ("KEY_FILE", tmp_path / "key"), ("CALIBRATION", site),
        ("FACE_WEIGHTS", embedder.path), ("GENERATOR", generator_file), ("VERIFIER", files["place"]),
    ):  # fmt: skip
        monkeypatch.setenv(f"OSTIARY_{name}", str(value))
    Vault.create(tmp_path / "door.db", KEY).close()

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        return result

    return run


def test_the_commands_of_a_door(door: Callable[..., Result], pictures: Path) -> None:
    astronaut, hopper = pictures / "astronaut.png", pictures / "grace_hopper.jpg"
    assert door("enrol", "ada", astronaut, "--consent", "said", "--watched", "--personal").exit_code == 0
    assert door("verify", astronaut, "--user", "ada", "--personal").exit_code == 0
    assert door("verify", hopper, "--user", "ada", "--personal").exit_code == 1
    plain = door("verify", astronaut, "--user", "ada", "--json")
    assert (plain.exit_code, json.loads(plain.stdout)["reason"]) == (1, "enrolled_with_another_model")


def test_the_whole_door_is_measured(door: Callable[..., Result], pictures: Path, tmp_path: Path) -> None:
    images, listed = tmp_path / "images", tmp_path / "trials.csv"
    images.mkdir()
    for name, picture in (("monday.png", "astronaut.png"), ("tuesday.png", "astronaut.png"),
                          ("grace.jpg", "grace_hopper.jpg")):  # fmt: skip
        (images / name).write_bytes((pictures / picture).read_bytes())
    listed.write_text(
        "role,subject,image,species,dataset\nenrol,ada,monday.png,,door\nbona_fide,ada,tuesday.png,,door\n"
        "bona_fide,grace,grace.jpg,,door\n"
    )
    shown = door(
        "evaluate", "system", "--trials", listed, "--images", images, "--out", tmp_path / "eval", "--personal",
        "--calibration", tmp_path / "site.json", "--json",
    )  # fmt: skip
    report = json.loads(shown.stdout)
    assert (report["frr"], report["far"]) == (0, 0)
    assert report["header"]["door"]["templates"] == "personal"


def test_stages_of_either_kind(door: Callable[..., Result]) -> None:
    assert Stages.load(personal=True).matcher.kind == "personal"
    assert Stages.load().matcher.kind == "embedding"
