"""Every configuration on every data set: Markdown tables from a report of `ostiary evaluate liveness`.

python benchmarks/liveness_table.py EVAL/report.json [--stock EVAL_OF_STOCK/report.json] > table.md
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

COLUMNS = ("auc", "eer", "accuracy", "apcer_max", "apcer_pooled", "bpcer", "acer_pooled")
EVALUATED_BY_THE_PAPER = ("HHH", "LHH", "HLH", "HHL", "LLL", "BBB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pta", type=Path)
    parser.add_argument(
        "--stock", type=Path, help="report of the network without adaptive blocks, for a row of its own"
    )
    arguments = parser.parse_args()
    pta = json.loads(arguments.pta.read_text())
    rows = dict(pta["configurations"])
    if arguments.stock:
        (no_pta,) = json.loads(arguments.stock.read_text())["configurations"].values()
        rows = {"No PTA": no_pta, **rows}
    print(f"Data: {', '.join(pta['header']['data'])}, splits {pta['header']['splits']}.\n")
    print("All data together, every configuration; 95 % intervals by bootstrap over people.\n")
    table(rows)
    first = next(iter(rows.values()))
    for name in sorted(first["datasets"]):
        of_set = {
            word: row["datasets"][name]
            for word, row in rows.items()
            if word in ("No PTA", *EVALUATED_BY_THE_PAPER)
        }
        print(f"\n**{name}**: {first['datasets'][name]['people']} people\n")
        table(of_set)
    print("\n## Each species at the threshold that the file holds\n")
    print("BPCER, and APCER of each species, %; the threshold is the development people's.")
    for name in sorted(first["datasets"]):
        print(f"\n**{name}**\n")
        species_table({word: row["datasets"][name] for word, row in rows.items()})


def species_table(rows: dict[str, dict[str, Any]]) -> None:
    first = next(iter(rows.values()))
    attacks = [f"{species}, n {count}" for species, count in first["n_species"].items()]
    print(f"| configuration | threshold | BPCER, n {first['n_bona_fide']} | " + " | ".join(attacks) + " |")
    print("|---" * (len(attacks) + 3) + "|")
    for word, row in rows.items():
        bounds = row["intervals"].get("apcer", {})
        cells = [percent(rate, bounds.get(species)) for species, rate in row["apcer"].items()]
        print(f"| {word} | {row['threshold']:.3f} | {cell(row, 'bpcer')} | " + " | ".join(cells) + " |")


def table(rows: dict[str, dict[str, Any]]) -> None:
    print("| configuration | " + " | ".join(COLUMNS) + " | n bona fide / attack |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for word, row in rows.items():
        cells = [cell(row, name) for name in COLUMNS]
        print(f"| {word} | " + " | ".join(cells) + f" | {row['n_bona_fide']} / {row['n_attack']} |")


def cell(row: dict[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return "-"
    interval = row["intervals"].get(name)
    if name != "auc":
        return percent(value, interval)
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def percent(value: float, interval: list[float] | None) -> str:
    shown = f"{100 * value:.1f}"
    return shown if interval is None else f"{shown} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


if __name__ == "__main__":
    main()
