"""A template comes back as it was, or is refused in one sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.runtime.template import PRECISIONS, Precision, Template, template_bytes
from ostiary.runtime.verifier_layers import ARCHITECTURES, F64, F112

Make = Callable[..., Template]
EVERY = pytest.mark.parametrize("precision", PRECISIONS)

# Payloads of fp32, fp16 and int8; a header of 64 bytes comes before each.
PAYLOADS = {
    "f112": (91_140, 45_570, 25_830),
    "f112w": (91_620, 45_810, 26_470),
    "f64": (90_660, 45_330, 25_990),
}
DIGESTS = {"f112": "b85e78eeaa1ff394", "f112w": "e51193c3d9568e56", "f64": "0549e1a93168293e"}


def forged(content: bytes, place: int, change: bytes) -> bytes:
    """Other bytes at a place, with a checksum that fits."""
    changed = content[:place] + change + content[place + len(change) :]
    blank = changed[:60] + bytes(4) + changed[64:]
    return blank[:60] + struct.pack("<I", zlib.crc32(blank)) + blank[64:]


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_integer(make: Make, name: str) -> None:
    sizes = [template_bytes(ARCHITECTURES[name], precision) for precision in PRECISIONS]
    assert sizes == [64 + payload for payload in PAYLOADS[name]]
    assert [len(make(architecture=name, precision=precision).to_bytes()) for precision in PRECISIONS] == sizes


def test_templates_of_today_are_read_tomorrow() -> None:
    """Whoever changes these makes every stored template unreadable: raise the format, or add an architecture."""
    assert {name: architecture.digest.hex() for name, architecture in ARCHITECTURES.items()} == DIGESTS
    theta = ((np.arange(F112.parameters) % 255) - 127).astype(np.float32) / 64
    prints = [Template(theta, "f112", bytes(16), precision, 0.75).fingerprint()[:16] for precision in PRECISIONS]
    assert prints == ["f83c10b9c4fc0ac1", "56ba5b80bded2d07", "ccb09e9451bef0a6"]


@EVERY
def test_a_round_trip(make: Make, precision: Precision) -> None:
    template = make(precision=precision, threshold=0.1 + 0.2, photos=3, cohort=(-1.5, 0.25))
    content = template.to_bytes()
    read = Template.from_bytes(content)
    assert read.to_bytes() == content
    assert (read.architecture, read.generator, read.precision) == ("f64", template.generator, precision)
    assert (read.threshold, read.photos, read.cohort) == (0.1 + 0.2, 3, (-1.5, 0.25))
    if precision == "fp32":
        np.testing.assert_array_equal(read.theta, template.theta)
    assert (read.theta.dtype, read.theta.shape) == (np.float32, template.theta.shape)
    bare = Template.from_bytes(make(precision=precision).to_bytes())
    assert (bare.threshold, bare.photos, bare.cohort) == (None, 1, None)
    assert bare.fingerprint() != read.fingerprint()


@EVERY
def test_a_threshold_of_zero_is_one(make: Make, precision: Precision) -> None:
    assert Template.from_bytes(make(precision=precision, threshold=0.0).to_bytes()).threshold == 0.0


def test_eight_bits_are_off_by_half_a_step(make: Make) -> None:
    template = make()
    kept = F64.parts(template.at("int8").theta)
    for name, (weight, bias) in F64.parts(template.theta).items():
        steps = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
        assert (np.abs(kept[name][0] - weight) <= 0.57 * steps).all()
        np.testing.assert_array_equal(kept[name][1], bias)
    half = template.at("fp16").theta
    np.testing.assert_allclose(half, template.theta, rtol=2**-11, atol=1e-7)


def test_filters_of_nothing_and_opposite_filters_in_eight_bits(make: Make) -> None:
    theta = make().theta.copy()
    weight, _ = F64.parts(theta)["pw1"]
    weight[0] = 0
    weight[1] = 1e-12
    weight[3] = -weight[2]
    kept, _ = F64.parts(replace(make(), theta=theta).at("int8").theta)["pw1"]
    assert not kept[:2].any()
    assert kept[2].any()
    np.testing.assert_array_equal(kept[3], -kept[2])


@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.99999), ("int8", 0.99)])
def test_rounded_verifiers_judge_alike(
    make: Make,
    logits: Callable[..., NDArray[np.float64]],
    precision: Precision,
    least: float,
) -> None:
    template = make()
    x = np.random.default_rng(1).normal(size=(24, 3, 8, 8)).astype(np.float32).repeat(8, 2).repeat(8, 3)
    exact, rounded = (logits(kept.theta, x) for kept in (template, template.at(precision)))
    assert np.corrcoef(exact, rounded)[0, 1] > least


def test_every_changed_byte_is_refused(make: Make) -> None:
    content = make(precision="int8", threshold=0.5).to_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= place % 255 + 1
        with pytest.raises(WeightsError, match=r"^The template \S.*\.$"):
            Template.from_bytes(bytes(changed))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_truncation_and_trailing_bytes_are_refused(make: Make, data: st.DataObject) -> None:
    content = make(precision="int8").to_bytes()
    short = content[: data.draw(st.integers(0, len(content) - 1))]
    for wrong in (short, content + data.draw(st.binary(min_size=1, max_size=9))):
        with pytest.raises(WeightsError):
            Template.from_bytes(wrong)


NAN, INFINITE = struct.pack("<f", float("nan")), struct.pack("<f", float("inf"))


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, b"OVT2", "is not a template of ostiary, or is cut short"),
        (4, b"\x02\x00", "has format 2, and this ostiary reads format 1"),
        (6, b"\x03", "has a header that this ostiary does not know"),
        (7, b"\x04", "has a header that this ostiary does not know"),
        (8, bytes(8), r"an architecture that this ostiary does not have \(0000000000000000\)"),
        (8, F112.digest, "holds 22665 parameters in 90660 bytes, which is not what f112 takes in fp32"),
        (6, b"\x01", "which is not what f64 takes in fp16"),
        (32, struct.pack("<d", 1.5), "its threshold 1.5 is not between 0 and 1"),
        (32, struct.pack("<d", float("nan")), "its threshold nan is not between 0 and 1"),
        (44, NAN, "its cohort has no finite mean"),
        (48, b"\x00\x00", "nobody is enrolled with 0 photos"),
        (50, b"\x01", "has a header that this ostiary does not know"),
        (52, struct.pack("<I", 7), "holds 7 parameters"),
        (64, NAN, "its theta holds NaN or infinite numbers"),
        (90_720, INFINITE, "its theta holds NaN or infinite numbers"),
    ],
)
def test_what_has_a_right_checksum_and_is_still_wrong(make: Make, place: int, change: bytes, message: str) -> None:
    content = make(threshold=0.5, cohort=(0.0, 1.0)).to_bytes()
    with pytest.raises(WeightsError, match=rf"^ada\.ovt .*{message}"):
        Template.from_bytes(forged(content, place, change), "ada.ovt")


@pytest.mark.parametrize("content", [b"", b"OVT1", bytes(91_000), b"\x89PNG\r\n\x1a\n" * 20])
def test_what_is_no_template(content: bytes) -> None:
    with pytest.raises(WeightsError, match="is not a template of ostiary, or is cut short"):
        Template.from_bytes(content)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"theta": np.zeros(F64.parameters)}, r"a theta of float64 \(22665,\) is not float32"),
        ({"theta": np.zeros(F112.parameters, np.float32)}, "is not float32"),
        ({"theta": np.full(F64.parameters, np.nan, np.float32)}, "its theta holds NaN"),
        ({"architecture": "f63"}, "no verifier 'f63'; choose one of: f112, f112w, f64"),
        ({"precision": "int4"}, "the precision 'int4' is none of fp32, fp16, int8"),
        ({"generator": b"short"}, "named by 16 bytes, not by 5"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"photos": 70_000}, "70000 photos"),
        ({"cohort": (0.0, 0.0)}, "no deviation above zero"),
        ({"cohort": (float("inf"), 1.0)}, "no finite mean"),
    ],
)
def test_what_cannot_be_a_template(make: Make, values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(make(), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_weights_beyond_a_precision_are_refused(make: Make, precision: Precision) -> None:
    theta = make().theta.copy()
    theta[0] = 1e9
    with pytest.raises(ConfigurationError, match=f"too large to be kept as {precision}; keep"):
        replace(make(), theta=theta, precision=precision).to_bytes()


def test_a_repr_shows_nobody(make: Make) -> None:
    template = make(threshold=0.5)
    assert "theta" not in repr(template)
    assert "array" not in repr(template)
    assert "architecture='f64'" in repr(template)
