"""Time of every configuration over the stock network's, in both modes, with 8-bit models and peers beside.

One thread, batch 1, CPU time of the calling thread, all candidates interleaved in one run. Prints a Markdown
table; ``--out`` writes JSON, which ``ostiary evaluate liveness --latency`` reads.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from machine import describe
from ostiary.export.latency import measure_latency


def table(report: dict[str, Any]) -> str:
    quartiles = report["quartiles"]
    lines = [
        f"Stock network: {report['stock_ms']:.2f} ms (quartiles {_range(report['stock_quartiles_ms'])}); "
        f"{report['runs']} rounds. Ratios of medians, in brackets the quartiles of the rounds' ratios.",
        "",
        "| configuration | specialised | switched per call |",
        "|---|---|---|",
    ]
    for word, ratios in report["configurations"].items():
        spread = quartiles["configurations"][word]
        cells = [f"{ratios[mode]:.3f} ({_range(spread[mode])})" for mode in ("specialised", "switched")]
        lines.append(f"| {word} | {' | '.join(cells)} |")
    for kind, label in (("int8", ", 8-bit"), ("peers", "")):
        for name, value in report[kind].items():
            lines.append(f"| {name}{label} | {value:.3f} ({_range(quartiles[kind][name])}) | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="a weights file or a packaged name; default: the packaged model")
    parser.add_argument("--words", help="configurations separated by commas; default: all")
    parser.add_argument("--int8", type=Path, nargs="*", default=[], help="8-bit weights files")
    parser.add_argument("--peer", type=Path, nargs="*", default=[], help="other people's ONNX models")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    report = measure_latency(
        arguments.weights,
        words=arguments.words.split(",") if arguments.words else None,
        int8=arguments.int8,
        int8_words=("HHH", "LLL", "BBB"),
        peers=arguments.peer,
        rounds=arguments.rounds,
    )
    report["machine"] = describe()
    print(f"{report['machine']}\n\n{table(report)}")
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1))


def _range(pair: list[float]) -> str:
    return f"{pair[0]:.2f} to {pair[1]:.2f}"


if __name__ == "__main__":
    main()
