"""The static page: its own files, ONNX Runtime for browsers, and weights, in one folder that any server can serve.

Nothing is fetched while the page is built or while it runs. The page opens a file only if it has the SHA-256 that
stands in ``site.json``, which is written here together with the files' records.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ostiary
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.gate.policy import Policy
from ostiary.runtime.container import WeightsRecord, read_container
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.packaged import EMBEDDING, FOLDER, resolve_weights

INDEX = "site.json"

#: What a server must say for the page to use several threads, and to be unable to call anybody.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What was written: how many files, and their bytes."""

    files: int
    bytes: int


def build_site(
    out: Path,
    *,
    weights: Path | str | None = None,
    face_weights: Path | str | None = None,
    runtime: Path | None = None,
    webgpu: bool = False,
) -> Site:
    """Write the page to a folder; it appears whole, or what stood there stays.

    Args:
        out: the folder. If there is one, it must be empty or an earlier page.
        weights: for liveness; None for the packaged ones.
        face_weights: for matching; None for the packaged ones, and where there are none the page says only
            whether a face is alive.
        runtime: the folder ``node_modules/onnxruntime-web``; None to look for it here and beside the page's files.
        webgpu: also copy the runtime for graphics chips.

    Raises:
        ConfigurationError: the folder holds something else, or the runtime is missing or of another version.
        WeightsError: weights cannot be used, or are cut in a way that the page does not know.

    """
    page = page_folder()
    version = str(json.loads((page / "package.json").read_text())["dependencies"]["onnxruntime-web"])
    source = _runtime(runtime, page, version)
    models = _models(weights, face_weights)
    _check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name in ("index.html", "style.css"):
            shutil.copyfile(page / name, work / name)
        shutil.copytree(page / "js", work / "js")
        _copy_runtime(source, work / "runtime", version, webgpu=webgpu)
        index = _copy_models(models, work)
        index |= {"version": ostiary.__version__, "backends": ["wasm", "webgpu"] if webgpu else ["wasm"]}
        (work / INDEX).write_text(json.dumps(index, allow_nan=False) + "\n")
        lines = "".join(f"  {name}: {value}\n" for name, value in HEADERS.items())
        (work / "_headers").write_text(f"/*\n{lines}")
        _swap(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    written = [path for path in out.rglob("*") if path.is_file()]
    return Site(len(written), sum(path.stat().st_size for path in written))


def page_folder() -> Path:
    """Where the page's own files lie: in the package, or in a checkout beside ``src``.

    Raises:
        ConfigurationError: nowhere.

    """
    here = Path(__file__).resolve()
    for folder in (here.parents[1] / "web", here.parents[3] / "web"):
        if (folder / "package.json").is_file():
            return folder
    raise ConfigurationError("The files of the page are missing: install ostiary again.")


@dataclass(frozen=True, slots=True)
class _Model:
    """A weights file as it was checked, and its record; None for the detector's, which is a foreign file."""

    path: Path
    content: bytes
    record: WeightsRecord | None


def _models(weights: Path | str | None, face_weights: Path | str | None) -> dict[str, _Model | None]:
    liveness = resolve_weights(weights)
    named = face_weights or os.environ.get(EMBEDDING.environment) or EMBEDDING.default
    faces = resolve_weights(named, EMBEDDING) if named else None
    detector = FOLDER / "face_detection_yunet.onnx"
    found: dict[str, _Model | None] = {
        "detector": _Model(detector, detector.read_bytes(), None),
        "liveness": _opened(liveness, Metadata),
        "embedding": None if faces is None else _opened(faces, EmbeddingMetadata),
    }
    return found


def _opened(path: Path, kind: type[WeightsRecord]) -> _Model:
    record, content = read_container(path, kind)
    if record.preprocess.surroundings != "square":
        raise WeightsError(
            f"{path} cuts faces in the way {record.preprocess.surroundings!r}, which the page does not know; give "
            "weights made with ostiary."
        )
    return _Model(path, content, record)


def _copy_models(models: dict[str, _Model | None], work: Path) -> dict[str, Any]:
    policy = Policy()
    assert policy.quality is not None
    index: dict[str, Any] = {"limits": asdict(policy.quality), "smallest_face": policy.smallest_face}
    (work / "models").mkdir()
    for task, model in models.items():
        index[task] = None
        if model is None:
            continue
        digest = hashlib.sha256(model.content).hexdigest()
        # A new file gets a new name, so that no cache can mix two builds.
        name = f"models/{task}-{digest[:12]}.onnx"
        (work / name).write_bytes(model.content)
        card = model.path.with_suffix(".card.md")
        if card.is_file():
            shutil.copyfile(card, work / "models" / f"{task}.card.md")
        index[task] = {"file": name, "sha256": digest, "bytes": len(model.content)}
        if model.record is not None:
            index[task]["record"] = model.record.model_dump(mode="json")
    return index


def _runtime(given: Path | None, page: Path, version: str) -> Path:
    inside = Path("node_modules") / "onnxruntime-web"
    places = [given] if given is not None else [Path.cwd() / inside, page / inside]
    for folder in places:
        described = folder / "package.json"
        if not described.is_file():
            continue
        found = json.loads(described.read_text()).get("version")
        if found != version:
            raise ConfigurationError(
                f"{folder} is onnxruntime-web {found}, and the page was tested with {version}: run `npm install "
                f"onnxruntime-web@{version}`."
            )
        return folder
    where = given if given is not None else f"{inside} of this folder"
    raise ConfigurationError(
        f"There is no onnxruntime-web at {where}: run `npm install onnxruntime-web@{version}` here, or name its "
        "folder with --runtime."
    )


def _copy_runtime(source: Path, target: Path, version: str, *, webgpu: bool) -> None:
    names = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]
    if webgpu:
        names += ["ort.webgpu.min.mjs"]
        names += [f"ort-wasm-simd-threaded.asyncify.{ending}" for ending in ("mjs", "wasm")]
    target.mkdir()
    for name in names:
        try:
            shutil.copyfile(source / "dist" / name, target / name)
        except OSError as error:
            raise ConfigurationError(
                f"{source / 'dist' / name} cannot be read ({error.strerror}): install onnxruntime-web again."
            ) from None
    (target / "LICENSE.txt").write_text(_LICENCE.format(version=version))


def _check_free(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / INDEX).is_file() or not any(out.iterdir()))):
        raise ConfigurationError(f"{out} holds something else than an earlier page; name a new folder.")


def _swap(work: Path, out: Path) -> None:
    old = work.with_name(f"{work.name}-old")
    try:
        work.chmod(0o755)  # a temporary folder is closed to a server that runs as somebody else
        if out.exists():
            out.rename(old)
        work.rename(out)
    except OSError as error:
        if old.exists() and not out.exists():
            old.rename(out)
        raise ConfigurationError(f"{out} cannot be written ({error.strerror}); name another folder.") from None
    shutil.rmtree(old, ignore_errors=True)


_LICENCE = """onnxruntime-web {version}

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
