"""Every network of the registry, whole, gives the same embedding in the forms that are deployed."""

from __future__ import annotations

import pytest
import torch

from ostiary.adaptive import specialise
from ostiary.errors import ConfigurationError
from ostiary.export.rewrite import TARGETS, form_for, rewritten
from ostiary.networks.face_network import FaceNetwork
from ostiary.networks.pta_face import pta_seesaw_shuffle
from ostiary.networks.registry import FACE

from .conftest import faces, lively

EXACT = 1e-5


def check(network: FaceNetwork, *targets: str) -> None:
    with torch.no_grad():
        expected = network(faces(2))
        assert (expected[0] - expected[1]).abs().max() > 0.05  # it tells pictures apart
        for target in targets:
            found = rewritten(network, form_for(network, target))(faces(2))
            assert (found - expected).abs().max() < EXACT, target


@pytest.mark.parametrize("name", [name for name in FACE if not name.startswith("pta")])
def test_the_deployed_forms_are_exact(name: str) -> None:
    check(lively(FACE[name](64)), *TARGETS)


@pytest.mark.parametrize("word", ["LHL", "BLH"])
def test_words_of_an_adaptive_network_are_exact(word: str) -> None:
    check(lively(specialise(pta_seesaw_shuffle(32), word)), "cpu-fp32")


def test_an_adaptive_network_is_to_be_specialised_first() -> None:
    with pytest.raises(ConfigurationError, match="specialise an adaptive network"):
        rewritten(pta_seesaw_shuffle(32).eval(), TARGETS["cpu-fp32"])
