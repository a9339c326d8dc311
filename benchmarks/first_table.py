"""No PTA against every configuration: one Markdown table from the reports of `ostiary evaluate liveness`.

python benchmarks/first_table.py EVAL_OF_STOCK/report.json EVAL_OF_PTA/report.json > table.md
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
    parser.add_argument("stock", type=Path)
    parser.add_argument("pta", type=Path)
    arguments = parser.parse_args()
    stock, pta = (json.loads(path.read_text()) for path in (arguments.stock, arguments.pta))
    (no_pta,) = stock["configurations"].values()
    rows = {"No PTA": no_pta, **pta["configurations"]}
    print(f"Data: {', '.join(pta['header']['data'])}, splits {pta['header']['splits']}.\n")
    print("All data together, every configuration; 95 % intervals by bootstrap over people.\n")
    table(rows)
    for name in sorted(no_pta["datasets"]):
        of_set = {
            word: row["datasets"][name]
            for word, row in rows.items()
            if word in ("No PTA", *EVALUATED_BY_THE_PAPER)
        }
        print(f"\n**{name}**: {no_pta['datasets'][name]['people']} people\n")
        table(of_set)


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
    shown = (lambda x: f"{x:.3f}") if name == "auc" else (lambda x: f"{100 * x:.1f}")
    interval = row["intervals"].get(name)
    return shown(value) if interval is None else f"{shown(value)} ({shown(interval[0])} to {shown(interval[1])})"


if __name__ == "__main__":
    main()
