"""Times of personal verifiers: the rows of the report, its ratios, and where the embedding becomes cheaper."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostiary.cli.app import app
from ostiary.errors import ConfigurationError
from ostiary.export.personal_latency import BASELINES, WAYS, crossover, measure_personal
from ostiary.export.personal_latency_page import table
from ostiary.networks.face_network import Style
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.seesaw import SHUFFLE
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.runtime.verifier_layers import F64
from ostiary.training.checkpoint import save_tensors
from ostiary.training.personal.recipe import changed, personal_recipe

from .conftest import small


@pytest.fixture(scope="module")
def report() -> dict:  # type: ignore[type-arg]
    networks = {"mobilefacenet": small(Style("prelu")), "seesaw_shuffle": small(SHUFFLE)}
    return measure_personal(
        architectures=["f64"], embedders=["slim_face_int8"], people=[3, 1], baselines=networks, rounds=2
    )


def test_every_way_stands_beside_the_baselines(report: dict) -> None:  # type: ignore[type-arg]
    assert list(report["networks"]) == [*BASELINES, "slim_face_int8"]
    assert set(report["verifiers"]["f64"]) == {"parameters", "macs", *WAYS}
    assert report["verifiers"]["f64"]["parameters"] == 22665
    for found in (*report["networks"].values(), *(report["verifiers"]["f64"][way] for way in WAYS)):
        for base in BASELINES:
            assert found[f"of_{base}"] == pytest.approx(found["ms"] / report["networks"][base]["ms"])
            low, high = found[f"of_{base}_quartiles"]
            assert 0 < low <= high
    json.dumps(report)


def test_enrolment_is_the_sum_of_its_steps(report: dict) -> None:  # type: ignore[type-arg]
    found = report["enrolment"]
    assert set(found["steps_ms"]) == {"embedding", "theta", "template", "reissue"}
    assert found["ms"] == pytest.approx(sum(found["steps_ms"].values()))
    assert (found["form"], found["architecture"], found["embedder"]) == ("head", "f64", "slim_face_int8")
    assert found["session_ms"] > 0


def test_the_search_has_a_row_for_each_way_and_number(report: dict) -> None:  # type: ignore[type-arg]
    search = report["search"]
    assert search["people"] == [1, 3]
    assert set(search["ms"]) == {"f64/place", "f64/input", "slim_face_int8"}
    assert all(set(ms) == {"1", "3"} for ms in search["ms"].values())
    assert set(search["crossover"]) == {"f64/place", "f64/input"}
    lines = table(report).splitlines()
    assert sum(line.startswith("| f64 |") for line in lines) == 3
    assert sum(line.startswith("| f64/input |") for line in lines) == 2
    assert sum(line.startswith("| slim_face_int8 |") for line in lines) == 2


@pytest.mark.parametrize(
    ("personal", "embedding", "expected"),
    [
        ({1: 1.0, 5: 5.0, 10: 10.0}, 7.0, 8),  # equal at 7: cheaper from the next one on
        ({1: 1.0, 5: 5.0, 10: 10.0}, 7.5, 8),
        ({1: 1.0, 5: 5.0, 10: 10.0}, 0.5, 1),
        ({1: 1.0, 5: 5.0, 10: 10.0}, 10.0, None),
        ({1: 3.0, 2: 1.0, 3: 4.0}, 2.0, 3),  # the last crossing counts
        ({1: 1.0, 2: 3.0}, 2.9, 2),
    ],
)
def test_crossover(personal: dict[int, float], embedding: float, expected: int | None) -> None:
    assert crossover(personal, dict.fromkeys(personal, embedding)) == expected


def test_what_cannot_be_timed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no verifier 'f9'"):
        measure_personal(architectures=["f9"])
    with pytest.raises(ConfigurationError, match="numbers from 1 on"):
        measure_personal(people=[0, 3])
    with pytest.raises(ConfigurationError, match=r"takes embeddings of 8 numbers and slim_face.* gives 256"):
        measure_personal(embedders=["slim_face_int8"], generator=Hypernetwork("head", F64, dimension=8))
    network = StaticVerifier(F64, 256)
    recipe = changed(personal_recipe("personal"), form="static", architecture="f64")
    record = {"task": "personal", "recipe": recipe.model_dump(mode="json"), "dimension": 256}
    save_tensors(tmp_path / "static.safetensors", dict(network.state_dict()), record)
    run = CliRunner().invoke(app, ["bench", "personal", "--model", str(tmp_path / "static.safetensors")])
    assert isinstance(run.exception, ConfigurationError)
    assert "is a static network" in str(run.exception)
    run = CliRunner().invoke(app, ["bench", "personal", "--people", "1,some"])
    assert isinstance(run.exception, ConfigurationError)
    assert "no number" in str(run.exception)
    run = CliRunner().invoke(app, ["bench", "personal", "--out", str(tmp_path / "absent" / "times.json")])
    assert isinstance(run.exception, ConfigurationError)
    assert "folder is missing" in str(run.exception)
