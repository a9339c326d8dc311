"""``ostiary web``: the page that runs in a browser alone; ``ostiary export golden``: what it must agree with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err

Weights = Annotated[
    str | None,
    typer.Option(help="Liveness weights: a file, or a name that `weights list` shows.", show_default=False),
]
FaceWeights = Annotated[
    str | None,
    typer.Option(help="Face weights; without them nobody is recognised.", show_default=False),
]


def build(
    out: Annotated[Path, typer.Option(help="Folder for the page; what stands there is replaced.")],
    weights: Weights = None,
    face_weights: FaceWeights = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="The folder node_modules/onnxruntime-web; by default it is looked for here.", show_default=False
        ),
    ] = None,
    webgpu: Annotated[
        bool, typer.Option("--webgpu", help="With the runtime for graphics chips, 27 MB more on the disk.")
    ] = False,
) -> None:
    """Assemble the static page: detection to decision on the visitor's machine, nothing sent anywhere.

    Its runtime comes first: npm install onnxruntime-web@1.30.0

    Example: ostiary web build --out site
    """
    from ostiary.export.site import build_site

    site = build_site(out, weights=weights, face_weights=face_weights, runtime=runtime, webgpu=webgpu)
    err.print(
        f"wrote {out}: {site.files} files, {site.bytes / 1e6:.1f} MB; look at it with `ostiary web serve {out}`",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def serve(
    folder: Annotated[Path, typer.Argument(help="What `ostiary web build` wrote.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """Serve the page to this machine alone, with the headers that let it use several threads.

    Example: ostiary web serve site --port 8000
    """
    from ostiary.export.site_server import site_server

    with site_server(folder, port) as server:
        err.print(f"http://localhost:{server.server_port}/ (stop with Ctrl+C)", highlight=False, soft_wrap=True)
        server.serve_forever()


def golden(
    pictures: Annotated[
        list[Path],
        typer.Argument(help="Pictures that may be passed on; the first one is varied.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="JSON file to write.", show_default=False)],
    weights: Weights = None,
    face_weights: FaceWeights = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(help="Only this word; may be given several times.", show_default=False),
    ] = None,
) -> None:
    """Write golden vectors: raw pictures with all that other code must make of them, to the decision.

    The file shows the pictures: give only such as may be passed on.

    Example: ostiary export golden tests/data/astronaut.png tests/data/grace_hopper.jpg --out golden.json
    """
    from ostiary.export.golden import golden_vectors, write_golden

    vectors = golden_vectors(pictures, weights=weights, face_weights=face_weights, words=configuration)
    write_golden(out, vectors)
    err.print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)", highlight=False, markup=False, soft_wrap=True)
