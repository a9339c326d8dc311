"""Readers of the runtime half: pictures, weights, records of other people's networks, templates, calibrations."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_trial import Files, Subject
from PIL import Image

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.gate.calibration import Calibration, Companion, ModelHashes, Operating
from ostiary.gate.key_choice import choose_key
from ostiary.images import check_image, read_image
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, read_container, seal
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold
from ostiary.runtime.foreign_record import ForeignLivenessRecord, read_foreign
from ostiary.runtime.liveness_record import ConfigurationRecord, Metadata, Threshold
from ostiary.runtime.packaged import verify_packaged
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import ARCHITECTURES


def _pictures(_: Path) -> Sequence[Files]:
    level = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) * 4
    colours = Image.fromarray(np.stack([level, level[::-1], 255 - level], axis=-1))
    turned = Image.Exif()
    turned[0x0112] = 6
    forms: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colours, "JPEG", {"quality": 90, "exif": turned}),
        (colours, "JPEG", {"progressive": True}),
        (colours.convert("CMYK"), "JPEG", {}),
        (colours, "PNG", {}),
        (colours.convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray(level.astype(np.uint16) * 257), "PNG", {}),
        (colours.convert("RGBA"), "WEBP", {"lossless": True}),
        (colours, "WEBP", {}),
        (colours.convert("P"), "GIF", {"save_all": True, "append_images": [colours.convert("P")]}),
        (colours, "TIFF", {}),
        (colours, "TIFF", {"compression": "tiff_lzw"}),
        (Image.fromarray(level.astype(np.float32)), "TIFF", {}),
        (colours, "BMP", {}),
        (colours, "PPM", {}),
        (colours, "TGA", {}),
        (colours, "ICO", {}),
        (colours, "JPEG2000", {}),
        (colours, "PCX", {}),
        (colours, "DIB", {}),
        (colours.convert("L"), "SGI", {}),
    ]
    return [{"picture": _saved(picture, form, options)} for picture, form, options in forms]


def _saved(picture: Image.Image, form: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _read_picture(folder: Path) -> object:
    found = read_image(folder / "picture", max_pixels=4_000_000)
    check_image(found)
    assert found.shape[0] * found.shape[1] <= 4_000_000
    return found.shape, found.tobytes()


_LOOSE = Preprocess(crop="loose", size=80, scale=1.5, mean=(127.5,) * 3, std=(127.5,) * 3)
_LIVENESS = Metadata(
    name="tiny", version="1", licence="none", data=["noise"], training_commit="unknown", preprocess=_LOOSE,
    configurations={
        word: ConfigurationRecord(
            parameters=9, macs=99,
            threshold=Threshold(value=0.5, target="apcer", rate=0.05, n_bona_fide=9, n_attack=60, data="noise"),
        )
        for word in ("HL", "LL")
    },
    default_configuration="HL",
)  # fmt: skip
_EMBEDDING = EmbeddingMetadata(
    name="tiny", version="1", licence="none", data=["noise"], training_commit="unknown", network="tiny",
    dimension=48, parameters=0, macs=0, preprocess=Preprocess(crop="aligned", size=112),
    threshold=MatchThreshold(value=0.9, rate=0.001, n_mated=500, n_non_mated=20_000, data="noise"),
)  # fmt: skip


def _container(record: bytes) -> bytes:
    """A weights file in which the hash is still to be written; the graph is noise, since nobody reads it here."""
    graph = b"\x08\x08\x3a" + _varint(2000) + np.random.default_rng(0).bytes(2000)
    properties = ((MODEL_KEY, record), (HASH_KEY, ZERO_HASH.encode()))
    return graph + b"".join(_property(key.encode(), value) for key, value in properties)


def _property(key: bytes, value: bytes) -> bytes:
    entry = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(value)) + value
    return b"\x72" + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    groups = []
    while number >= 0x80:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*groups, number))


def _weights(_: Path) -> Sequence[Files]:
    return [
        {"model.onnx": seal(_container(record.model_dump_json().encode()))} for record in (_LIVENESS, _EMBEDDING)
    ]


def _read_weights(folder: Path) -> object:
    content = (folder / "model.onnx").read_bytes()
    kind = EmbeddingMetadata if b'"embedding"' in content else Metadata
    record, found = read_container(folder / "model.onnx", kind)
    assert found == content
    return record, found


def _resealed(_: Path) -> Sequence[Files]:
    return [{"bare.onnx": _container(record.model_dump_json().encode())} for record in (_LIVENESS, _EMBEDDING)]


def _read_resealed(folder: Path) -> object:
    """Somebody who changes a file can make its hash fit: no harm may come of that to whoever reads the record."""
    content = (folder / "bare.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(seal(content))
    return _read_weights(folder)[0]  # type: ignore[index]


def _records(_: Path) -> Sequence[Files]:
    return [{"record.json": record.model_dump_json().encode()} for record in (_LIVENESS, _EMBEDDING)]


def _read_record(folder: Path) -> object:
    (folder / "bare.onnx").write_bytes(_container((folder / "record.json").read_bytes()))
    return _read_resealed(folder)


_NETWORK = b"\x08\x08" + bytes(range(256)) * 4


def _foreign(_: Path) -> Sequence[Files]:
    record = {
        "format": "foreign-1", "task": "liveness", "file": "network.onnx", "name": "theirs", "version": "1",
        "sha256": hashlib.sha256(_NETWORK).hexdigest(), "licence": "Apache-2.0", "data": ["theirs"],
        "preprocess": _LOOSE.model_dump(mode="json"), "layout": "NHWC", "output": "out",
        "answer": {"values": "logits", "classes": 3, "column": 1, "of": "bona_fide"},
    }  # fmt: skip
    return [{"record.json": json.dumps(record, indent=1).encode(), "network.onnx": _NETWORK}]


def _read_foreign(folder: Path) -> object:
    record, content = read_foreign(folder / "record.json", ForeignLivenessRecord)
    assert hashlib.sha256(content).hexdigest() == record.sha256
    assert record.answer.column < record.answer.classes
    return record, content


def _templates(_: Path) -> Sequence[Files]:
    name, architecture = min(ARCHITECTURES.items(), key=lambda item: item[1].parameters)
    theta = np.random.default_rng(0).standard_normal(architecture.parameters).astype(np.float32)
    made = [
        Template(theta, name, bytes(range(16)), "fp32", 0.7, 2, (0.1, 1.2)),
        Template(theta, name, bytes(range(16)), "int8"),
    ]
    return [{"template": template.to_bytes()} for template in made]


def _read_template(folder: Path) -> object:
    template = Template.from_bytes((folder / "template").read_bytes())
    assert np.isfinite(template.theta).all()
    assert template.threshold is None or 0 <= template.threshold <= 1
    return template.to_bytes()


def _read_summed(folder: Path) -> object:
    """The checksum made anew: it tells damage, not malice."""
    content = (folder / "template").read_bytes()
    if len(content) >= 64:
        header = content[:60] + bytes(4)
        content = header[:60] + struct.pack("<I", zlib.crc32(header + content[64:])) + content[64:]
    (folder / "template").write_bytes(content)
    return _read_template(folder)


_HASHES = ModelHashes("ab" * 32, "cd" * 32)


def _calibrations(_: Path) -> Sequence[Files]:
    limits = Operating(
        value=0.7, target="fmr=0.001", rate=0.001, low=0.0, high=0.01, trials=4000, people=90, data="drawn",
        made=None, other=Companion(name="fnmr", rate=0.01, low=0.0, high=0.1, errors=1, trials=100),
    )  # fmt: skip
    liveness = Calibration.of_liveness({"HL": limits, "LL>HH": limits}, _HASHES)
    both = liveness.merged(Calibration.of_matching(limits, _HASHES, flip=True))
    return [{"site.json": made.model_dump_json(indent=1).encode()} for made in (liveness, both)]


def _read_calibration(folder: Path) -> object:
    found = Calibration.load(folder / "site.json")
    thresholds = [*found.liveness.values(), *([found.matching] if found.matching else [])]
    assert all(0 < one.value < float("inf") for one in thresholds)
    try:
        found.for_models(liveness=_HASHES, matching=_HASHES)
    except ConfigurationError:
        return "of other models"
    bound = {found.liveness_model, found.matching_model, found.liveness_preprocess, found.matching_preprocess}
    assert bound <= {*_HASHES, None}
    return found


def _packaged(_: Path) -> Sequence[Files]:
    sums = f"{hashlib.sha256(_NETWORK).hexdigest()}  network.onnx\n"
    return [{"SHA256SUMS": sums.encode(), "network.onnx": _NETWORK}]


def _read_packaged(folder: Path) -> object:
    return verify_packaged(folder)


def _keys(_: Path) -> Sequence[Files]:
    return [{"vault.key": content} for content in (bytes(range(32)), b"0f" * 32 + b"\n")]


def _read_key(folder: Path) -> object:
    key = choose_key(key_file=folder / "vault.key", passphrase_file=None, keyring=False, ask=lambda *_: "")
    assert isinstance(key, bytes)
    assert len(key) == 32
    return key


RUNTIME = (
    Subject("pictures", _pictures, _read_picture, ("picture",)),
    Subject("weights files", _weights, _read_weights, ("model.onnx",), sealed=True),
    Subject("weights files, hash made anew", _resealed, _read_resealed, ("bare.onnx",)),
    Subject("records in weights files", _records, _read_record, ("record.json",), text=True),
    Subject("records of other networks", _foreign, _read_foreign, ("record.json",), text=True),
    Subject("networks of others", _foreign, _read_foreign, ("network.onnx",), sealed=True),
    Subject("personal templates", _templates, _read_template, ("template",), sealed=True),
    Subject("personal templates, sum made anew", _templates, _read_summed, ("template",)),
    Subject("calibrations", _calibrations, _read_calibration, ("site.json",), text=True),
    Subject("packaged weights", _packaged, _read_packaged, ("SHA256SUMS", "network.onnx"), text=True),
    Subject("key files", _keys, _read_key, ("vault.key",)),
)
