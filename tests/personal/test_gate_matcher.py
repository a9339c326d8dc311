"""The gate by personal networks: each template by its own threshold, or all by the site's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ostiary import read_image
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.faces.detector import FaceDetector
from ostiary.gate.calibration import Calibration, ModelHashes, Operating
from ostiary.gate.matching import Shot
from ostiary.gate.personal_matching import PersonalMatcher
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.template import Template

Make = Callable[..., Template]


@pytest.fixture(scope="module")
def shot(pictures: Path) -> Shot:
    pixels = read_image(pictures / "astronaut.png")
    return Shot(pixels, FaceDetector().detect(pixels)[0])


def test_similarities_are_the_verifiers_and_thresholds_the_templates(
    files: dict[str, Path], kind: str, make: Make, shot: Shot
) -> None:
    matcher, verifier = PersonalMatcher(files[kind]), PersonalVerifier(files[kind])
    templates = [make(seed, threshold=level) for seed, level in ((0, 0.25), (1, None), (2, 0.75))]
    probe = matcher.probe(shot)
    expected = verifier.similarity(probe[None], templates)[:, 0]
    found = matcher.people([[one.to_bytes()] for one in templates]).compare(probe)
    np.testing.assert_allclose(found.similarities, expected, atol=1e-6)
    np.testing.assert_array_equal(found.thresholds, [0.25, np.nan, 0.75])
    both = matcher.people([[one.to_bytes() for one in templates]]).compare(probe)  # of one person
    best = max((0, 2), key=lambda index: expected[index] - (0.25, 0, 0.75)[index])
    np.testing.assert_allclose(both.similarities, [expected[best]], atol=1e-6)


def test_a_site_may_have_one_threshold_for_all(files: dict[str, Path], make: Make, shot: Shot) -> None:
    own = PersonalMatcher(files["input"])
    operating = Operating(
        value=0.6, target="fmr=0.01", rate=0.01, low=0.0, high=0.1, trials=500, people=20, data="noise", made=None
    )
    site = Calibration.of_matching(operating, ModelHashes(own.model, own.preprocess_hash))
    matcher = PersonalMatcher(files["input"], calibration=site)
    found = matcher.people([[make(0, threshold=0.25).to_bytes()]]).compare(matcher.probe(shot))
    np.testing.assert_array_equal(found.thresholds, [0.6])
    with pytest.raises(ConfigurationError, match="another matching model"):
        PersonalMatcher(files["place"], calibration=site)


def test_templates_are_made_where_there_is_something_that_makes_them(
    files: dict[str, Path], make: Make, shot: Shot
) -> None:
    with pytest.raises(ConfigurationError, match="cannot make them"):
        PersonalMatcher(files["input"]).template([shot])
    matcher = PersonalMatcher(files["input"], generate=lambda shots: make(3, photos=len(shots)))
    assert Template.from_bytes(matcher.template([shot, shot])).photos == 2
    with pytest.raises(WeightsError, match="An enrolled template is not a template"):
        matcher.people([[b"nothing"]])
