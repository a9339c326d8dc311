"""A person's template: the weights of their own verifier as one small file, which is whole or is refused.

Little-endian. A header of 64 bytes, then the payload: layer by layer the weight in C order and the bias.

======  ====  =================================================================
offset  type  meaning
======  ====  =================================================================
0       4s    magic ``OVT1``
4       u16   format, 1
6       u8    precision: 0 float32, 1 float16, 2 int8
7       u8    what is there: 1 threshold, 2 cohort
8       8s    digest of the architecture, and of how a crop becomes its input
16      16s   digest of the generator and its backbone
32      f64   threshold: this person from that similarity on
40      2f32  mean and deviation of the cohort's logits, before they were folded
48      u16   photos that the person was enrolled with
50      u16   zero
52      u32   parameters
56      u32   bytes of the payload
60      u32   CRC-32 of the header, with zeros in this place, and the payload
======  ====  =================================================================

int8: after a weight comes a float16 scale for each filter; a bias stays float32.

The checksum tells damage, not malice. A template is biometric data like the embedding that it was made of: keep it
encrypted and authenticated.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.runtime.verifier_layers import ARCHITECTURES, Architecture, Layer, architecture_named

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

FORMAT = 1
MAGIC = b"OVT1"


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One person's verifier and what is needed to judge by it.

    ``theta`` is float32 (parameters,); it is personal data, and no ``repr`` shows it. ``threshold`` is a
    similarity in [0, 1], None where nothing decides yet. ``generator`` is the 16 bytes that name what made theta.
    ``cohort`` holds mean and deviation of strangers' logits, if they were folded into theta (cohort.py).

    Raises:
        ConfigurationError: an impossible value, or no such architecture or precision.

    """

    theta: NDArray[np.float32] = field(repr=False)
    architecture: str
    generator: bytes
    precision: Precision = "fp32"
    threshold: float | None = None
    photos: int = 1
    cohort: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        wrong = _wrong(self.shape, self.theta, self.generator, self.threshold, self.photos, self.cohort)
        if self.precision not in PRECISIONS:
            wrong = f"the precision {self.precision!r} is none of {', '.join(PRECISIONS)}"
        if wrong:
            raise ConfigurationError(f"A template for {self.architecture} cannot be made: {wrong}.")

    @property
    def shape(self) -> Architecture:
        """The layers that theta is the weights of."""
        return architecture_named(self.architecture)

    def to_bytes(self) -> bytes:
        """The file. Equal templates give equal bytes.

        Raises:
            ConfigurationError: a weight is too large for the precision.

        """
        payload = _packed(self.theta, self.shape, self.precision)
        mean, deviation = self.cohort or (0.0, 0.0)
        header = _HEADER.pack(
            MAGIC, FORMAT, PRECISIONS.index(self.precision),
            (self.threshold is not None) * _HAS_THRESHOLD | (self.cohort is not None) * _HAS_COHORT,
            self.shape.digest, self.generator, self.threshold or 0.0, mean, deviation, self.photos, 0,
            self.shape.parameters, len(payload), 0,
        )  # fmt: skip
        return header[:_CRC_AT] + struct.pack("<I", zlib.crc32(header + payload)) + payload

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "The template") -> Template:
        """Read a file; theta is what its precision kept.

        Args:
            content: the whole file.
            name: what to call it in an error.

        Raises:
            WeightsError: it is no template, damaged, of another format or architecture, or holds what no
                template may hold.

        """
        if len(content) < _HEADER.size or content[:4] != MAGIC:
            raise WeightsError(f"{name} is not a template of ostiary, or is cut short; enrol the person again.")
        (
            _, version, precision, there, digest, generator, threshold, mean, deviation, photos, zero, parameters,
            size, checksum,
        ) = _HEADER.unpack_from(content)  # fmt: skip
        if version != FORMAT:
            raise WeightsError(
                f"{name} has format {version}, and this ostiary reads format {FORMAT}: install the ostiary that "
                "wrote it, or enrol the person again."
            )
        blank = content[:_CRC_AT] + bytes(4) + content[_HEADER.size :]
        if len(content) != _HEADER.size + size or zlib.crc32(blank) != checksum:
            raise WeightsError(f"{name} is damaged: its checksum does not fit; enrol the person again.")
        architecture = _BY_DIGEST.get(digest)
        if architecture is None:
            raise WeightsError(
                f"{name} is of an architecture that this ostiary does not have ({digest.hex()}): install the "
                "ostiary that wrote it, or enrol the person again."
            )
        if precision >= len(PRECISIONS) or there & ~(_HAS_THRESHOLD | _HAS_COHORT) or zero:
            raise WeightsError(f"{name} has a header that this ostiary does not know; enrol the person again.")
        kind = PRECISIONS[precision]
        if parameters != architecture.parameters or size != _payload_bytes(architecture, kind):
            raise WeightsError(
                f"{name} holds {parameters} parameters in {size} bytes, which is not what {architecture.name} "
                f"takes in {kind}; enrol the person again."
            )
        theta = _unpacked(content[_HEADER.size :], architecture, kind)
        stored = threshold if there & _HAS_THRESHOLD else None
        cohort = (mean, deviation) if there & _HAS_COHORT else None
        wrong = _wrong(architecture, theta, generator, stored, photos, cohort)
        if wrong:
            raise WeightsError(f"{name} cannot be used: {wrong}; enrol the person again.")
        return cls(theta, architecture.name, generator, kind, stored, photos, cohort)

    def fingerprint(self) -> str:
        """SHA-256 of the file, in hex: what a list of revoked templates holds."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def at(self, precision: Precision) -> Template:
        """The same person at another precision, with the theta that this precision keeps."""
        return Template.from_bytes(replace(self, precision=precision).to_bytes())


def template_bytes(architecture: Architecture, precision: Precision) -> int:
    """Size of a template's file, header and all."""
    return _HEADER.size + _payload_bytes(architecture, precision)


_HEADER = struct.Struct("<4sHBB8s16sdffHHIII")
_CRC_AT = _HEADER.size - 4
_HAS_THRESHOLD, _HAS_COHORT = 1, 2
_GENERATOR = 16
_MOST_PHOTOS = 0xFFFF
_SMALLEST, _LARGEST = 1e-30, 1e30
"""Of what a header keeps as float32."""
_BY_DIGEST = {architecture.digest: architecture for architecture in ARCHITECTURES.values()}
_STEPS = 127
"""Largest whole number of an 8-bit weight; -128 is not used, so that a sign flip loses nothing."""


def _wrong(
    architecture: Architecture,
    theta: NDArray[np.float32],
    generator: bytes,
    threshold: float | None,
    photos: int,
    cohort: tuple[float, float] | None,
) -> str | None:
    """The first thing that no template may hold."""
    if theta.dtype != np.float32 or theta.shape != (architecture.parameters,):
        return f"a theta of {theta.dtype} {theta.shape} is not float32 ({architecture.parameters},)"
    if not np.isfinite(theta).all():
        return "its theta holds NaN or infinite numbers"
    if len(generator) != _GENERATOR:
        return f"a generator is named by {_GENERATOR} bytes, not by {len(generator)}"
    if threshold is not None and not 0 <= threshold <= 1:
        return f"its threshold {threshold} is not between 0 and 1"
    if not 1 <= photos <= _MOST_PHOTOS:
        return f"nobody is enrolled with {photos} photos"
    if cohort is not None and not (abs(cohort[0]) <= _LARGEST and _SMALLEST <= cohort[1] <= _LARGEST):
        return "its cohort has no finite mean and no deviation above zero"
    return None


def _payload_bytes(architecture: Architecture, precision: Precision) -> int:
    if precision == "int8":
        return architecture.parameters - architecture.filters + (2 + 4) * architecture.filters
    return architecture.parameters * (4 if precision == "fp32" else 2)


def _packed(theta: NDArray[np.float32], architecture: Architecture, precision: Precision) -> bytes:
    if precision != "int8":
        with np.errstate(over="ignore"):
            numbers = theta.astype("<f4" if precision == "fp32" else "<f2")
        _check_range(numbers, precision)
        return numbers.tobytes()
    parts: list[bytes] = []
    for weight, bias in architecture.parts(theta).values():
        filters = weight.reshape(len(weight), -1)
        with np.errstate(over="ignore"):
            scales = (np.abs(filters).max(axis=1) / _STEPS).astype("<f2")
        _check_range(scales, precision)
        # A filter of zeros, or of numbers below the smallest scale, is stored as zeros.
        divisors = np.where(scales > 0, scales, np.inf).astype(np.float32)
        steps = np.clip(np.rint(filters / divisors[:, None]), -_STEPS, _STEPS)
        parts += [steps.astype(np.int8).tobytes(), scales.tobytes(), bias.astype("<f4").tobytes()]
    return b"".join(parts)


def _unpacked(payload: bytes, architecture: Architecture, precision: Precision) -> NDArray[np.float32]:
    if precision != "int8":
        return np.frombuffer(payload, "<f4" if precision == "fp32" else "<f2").astype(np.float32)
    parts: list[NDArray[np.float32]] = []
    at = 0
    for layer in architecture.layers:
        steps, scales, bias = _int8_layer(payload, at, layer)
        parts += [(steps * scales[:, None]).ravel(), bias]
        at += layer.weights + (2 + 4) * layer.out
    return np.concatenate(parts)


def _int8_layer(payload: bytes, at: int, layer: Layer) -> tuple[NDArray[np.float32], ...]:
    """Steps (out, fan_in), scales (out,) and bias (out,) of a layer whose numbers begin at a place."""
    steps = np.frombuffer(payload, np.int8, layer.weights, at).reshape(layer.out, -1)
    at += layer.weights
    scales = np.frombuffer(payload, "<f2", layer.out, at)
    bias = np.frombuffer(payload, "<f4", layer.out, at + 2 * layer.out)
    return tuple(part.astype(np.float32) for part in (steps, scales, bias))


def _check_range(numbers: NDArray[Any], precision: Precision) -> None:
    if not np.isfinite(numbers).all():
        raise ConfigurationError(f"A weight is too large to be kept as {precision}; keep this template as fp32.")
