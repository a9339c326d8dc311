"""The page in a browser: bytes on the wire, time to the first decision, frames per second by configuration.

Builds the page, serves it to this machine and opens it in a headless Chromium whose camera is a clip of one
picture. Bytes are those of a first visit, compressed where the server compresses. Prints Markdown; ``--out``
writes JSON.
Needs node, Chromium, and the packages of ``web/package.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from machine import describe
from ostiary.export.fake_camera import write_clip
from ostiary.export.site import build_site
from ostiary.export.site_server import site_server
from ostiary.images import read_image

ROOT = Path(__file__).parents[1]


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    build_site(
        folder / "site",
        weights=arguments.weights,
        face_weights=arguments.face_weights,
        runtime=arguments.node_modules / "onnxruntime-web",
    )
    write_clip(folder / "clip.y4m", read_image(arguments.photo))
    with site_server(folder / "site") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = os.environ | {
            "CHROMIUM": arguments.chromium or shutil.which("chromium") or "chromium",
            "CLIP": os.fspath(folder / "clip.y4m"),
            "NODE_MODULES": os.fspath(arguments.node_modules.resolve()),
            "SECONDS": str(arguments.seconds),
            "URL": f"http://localhost:{server.server_port}/",
        }
        command = ["node", os.fspath(Path(__file__).with_suffix(".mjs"))]
        finished = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        server.shutdown()
    if finished.returncode != 0:
        raise SystemExit(finished.stderr)
    measured: dict[str, Any] = json.loads(finished.stdout)
    return measured


def table(measured: dict[str, Any]) -> str:
    kinds = {"networks": ".onnx", "runtime": ".wasm"}
    bytes_of = {
        name: sum(entry["bytes"] for entry in measured["sizes"] if entry["file"].endswith(ending))
        for name, ending in kinds.items()
    }
    total = sum(entry["bytes"] for entry in measured["sizes"])
    bytes_of["page and code"] = total - sum(bytes_of.values())
    lines = ["| first visit | MB |", "|---|---|"]
    lines += [f"| {name} | {count / 1e6:.2f} |" for name, count in (bytes_of | {"together": total}).items()]
    ready, decided = measured["ready_ms"] / 1000, measured["decided_ms"] / 1000
    lines += [
        "",
        f"Ready after {ready:.1f} s, first decision after {decided:.1f} s; threads: {measured['threads']}.",
        "",
        "| configuration | frames per second | search ms | quality ms | liveness ms |",
        "|---|---|---|---|---|",
    ]
    for word, row in measured["words"].items():
        lines.append(f"| {word} | {row['fps']} | {row['detection']} | {row['quality']} | {row['liveness']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path, help="a picture with a face")
    parser.add_argument("--weights", help="a weights file or a packaged name; default: the packaged model")
    parser.add_argument("--face-weights", help="for matching")
    parser.add_argument("--node-modules", type=Path, default=ROOT / "web" / "node_modules")
    parser.add_argument("--chromium", help="the program; default: chromium of the path")
    parser.add_argument("--seconds", type=float, default=10, help="for each configuration")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = {"machine": describe(), **measure(arguments, Path(folder))}
    print(f"{measured['machine']}\n\n{table(measured)}")
    if arguments.out:
        arguments.out.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
