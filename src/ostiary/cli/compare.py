"""``ostiary compare`` and ``ostiary embed``: are two pictures of one person, and who is in each as numbers?"""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err, out

if TYPE_CHECKING:
    from rich.table import Table

    from ostiary.embedder import Comparison, FaceEmbedding
    from ostiary.embedding_files import EmbeddedFile
    from ostiary.runtime.embedding_record import MatchThreshold

Weights = Annotated[
    str | None,
    typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
]
Quality = Annotated[
    bool,
    typer.Option(
        "--quality/--no-quality",
        help="Give a face that is too dark, blurred, turned away, ... that reason and no embedding.",
    ),
]


def compare(
    first: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another picture.", show_default=False)],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The same person from this similarity on, instead of the stored threshold.", show_default=False
        ),
    ] = None,
    weights: Weights = None,
    quality: Quality = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")] = False,
) -> None:
    """Say whether the largest faces of two pictures are of one person.

    Exit code 0: the same person; 1: not the same, or nothing was decided (no face, a face that is too bad, no
    threshold); 2: a picture could not be read.

    Example: ostiary compare passport.jpg selfie.jpg --weights face.onnx
    """
    from ostiary.embedder import Embedder
    from ostiary.faces.quality import QualityLimits

    embedder = Embedder(weights, threshold=threshold, quality=QualityLimits() if quality else None)
    comparison = embedder.compare(first, second)
    if json:
        record = {"images": [str(first), str(second)], **comparison.to_dict()}
        print(json_module.dumps(record, indent=1))
    else:
        faces = {str(first): comparison.first, str(second): comparison.second}
        for name, face in faces.items():
            if face.faces > 1:
                err.print(f"{name} shows {face.faces} faces; the largest counts.", markup=False, soft_wrap=True)
        sentence = _sentence(comparison, faces, embedder.model.name)
        out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(0 if comparison.same else 1)


def embed(
    images: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    out_file: Annotated[
        Path, typer.Option("--out", help="The NumPy archive (.npz) for the embeddings.", show_default=False)
    ],
    weights: Weights = None,
    quality: Quality = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Write the embeddings of the largest face of each picture into one file.

    The file holds `embeddings` (float32, one row a picture, unit length) and `images`, the pictures' paths.
    Embeddings are personal data: only you can read the file, and no embedding is printed.

    Exit code 0: every picture has an embedding; 1: at least one has no face, or one that is too bad; 2: at least
    one could not be read.

    Example: ostiary embed ada.jpg grace.jpg --out faces.npz --weights face.onnx
    """
    from ostiary.embedder import Embedder
    from ostiary.embedding_files import embed_files
    from ostiary.faces.quality import QualityLimits

    embedder = Embedder(weights, quality=QualityLimits() if quality else None)
    results = embed_files(embedder, images, out_file)
    for result in results:
        if result.error is not None:
            err.print(f"error: {result.error}", style="red", highlight=False, markup=False, soft_wrap=True)
    if json:
        print(json_module.dumps([result.to_dict() for result in results], indent=1))
    else:
        out.print(_table(results))
    rows = sum(result.row is not None for result in results)
    written = f"{rows} of {len(results)} pictures written to {out_file}" if rows else "nothing written"
    err.print(written, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(max(result.exit_code for result in results))


def _sentence(comparison: Comparison, faces: dict[str, FaceEmbedding], model: str) -> str:
    """What was decided, or why nothing was."""
    from ostiary.cli.rendering import WORDS

    if comparison.similarity is None:
        reasons = [f"{name}: {WORDS[face.reason]}" for name, face in faces.items() if face.reason is not None]
        return f"No decision. {'; '.join(reasons)}."
    found = f"similarity {comparison.similarity:.3f}"
    if comparison.threshold is None:
        return (
            f"No decision: {found}, but {model} holds no calibrated threshold; give --threshold, or weights that "
            "hold one."
        )
    verdict = "The same person" if comparison.same else "Not the same person"
    return f"{verdict}: {found}, threshold {comparison.threshold:.3f} ({_basis(comparison.calibration)})."


def _basis(calibration: MatchThreshold | None) -> str:
    """What a threshold stands on."""
    if calibration is None:
        return "given, not calibrated"
    target = {"fmr": "false match rate"}.get(calibration.target, calibration.target)
    return (
        f"{target} {calibration.rate:g} on {calibration.n_non_mated:,} comparisons of different persons of "
        f"{calibration.data}"
    )


def _table(results: list[EmbeddedFile]) -> Table:
    """One row a picture."""
    from rich.table import Table
    from rich.text import Text

    from ostiary.cli.rendering import WORDS

    table = Table("picture", "row", "faces", "why not", box=None, pad_edge=False, header_style="bold")
    for result in results:
        if result.found is None:
            table.add_row(Text(str(result.path)), "", "", "could not be read")
        else:
            reason = "" if result.found.reason is None else WORDS[result.found.reason]
            row = "" if result.row is None else str(result.row)
            table.add_row(Text(str(result.path)), row, str(result.found.faces), reason)
    return table
