"""Options that commands which train, or run many trainings, have in common: one wording, one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Index = Annotated[list[Path], typer.Option(help="Index CSV; may be given several times.", show_default=False)]
Images = Annotated[
    list[Path],
    typer.Option(help="Folder or tar of the pictures; may be given several times.", show_default=False),
]
IdentityFiles = Annotated[
    list[Path], typer.Option(help="Identity CSV (`data faces`); may be given several times.", show_default=False)
]
Crops = Annotated[
    list[Path],
    typer.Option(help="Folder or tar of aligned crops; may be given several times.", show_default=False),
]
RunFolder = Annotated[Path, typer.Option("--out", help="Folder for checkpoints, curves and the model.")]
Network = Annotated[str | None, typer.Option(help="Another network for the same recipe.", show_default=False)]
Epochs = Annotated[int | None, typer.Option(help="Another length than the recipe's.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Decides every random choice of the run.")]
Trunk = Annotated[Path | None, typer.Option(help="ImageNet trunk (.npz).", show_default=False)]
StartFrom = Annotated[
    str | None,
    typer.Option(
        help="model.safetensors of an earlier run, a weights file or the name of a packaged one to start from.",
        show_default=False,
    ),
]
SoftTargets = Annotated[Path | None, typer.Option(help="CSV of `train soft-targets`.", show_default=False)]
Teachers = Annotated[Path | None, typer.Option(help="Folder of `train face-teacher`.", show_default=False)]
Peers = Annotated[
    Path | None,
    typer.Option(help="Folder of deployed networks, for a teacher that watches.", show_default=False),
]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for decoded pictures; default: OUT/cache.", show_default=False)
]
Workers = Annotated[int, typer.Option(help="Processes that prepare pictures.")]
Processes = Annotated[
    int, typer.Option(help="Training processes of all machines together (torchrun: nnodes x nproc-per-node).")
]
Accelerator = Annotated[str, typer.Option(help="cpu, gpu or auto.")]
Precision = Annotated[str, typer.Option(help="32-true, bf16-mixed, ...")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew even if OUT holds a checkpoint.")]
