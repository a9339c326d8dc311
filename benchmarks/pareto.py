"""Error against time: our configurations and the peers in one figure and one Markdown table.

python benchmarks/pareto.py --latency results/latency.json --ours EVAL/report.json \
    --peers results/study/in_domain --out results/pareto

Times are ratios to the stock network from one interleaved run (benchmarks/latency.py). Errors are read from the
report of `ostiary evaluate liveness` and from a study's records of deployed networks on the same rows.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from ostiary.reports.markdown import table
from ostiary.reports.plots import COLOURS, GREY, NAMED, figure, pareto_front

FILES = {
    "minifasnet": ("2.7_80x80_MiniFASNetV2", "4_0_0_80x80_MiniFASNetV1SE"),
    "facenox": ("facenox_minifas_v2se_128",),
}
"""A peer's name in a study, and the networks that one answer of it takes."""

REMARK = (
    "All test rows together, one threshold for all data sets. Ours learnt from other people of these data sets; "
    "the peers may not have. For data sets that ours did not learn from see `results/leave_out.md`.\n\n"
)


class Point(NamedTuple):
    """A network's time, as a ratio to stock MobileNetV2, and its EER with the interval's ends."""

    time: float
    eer: float
    low: float
    high: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=Path, default=Path("results/latency.json"))
    parser.add_argument("--ours", type=Path, required=True, help="report.json of the weights")
    parser.add_argument("--peers", type=Path, required=True, help="folder of a study's records")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.md and OUT.png")
    arguments = parser.parse_args()
    latency = json.loads(arguments.latency.read_text())
    ours = of_report(json.loads(arguments.ours.read_text()), latency)
    peers = of_records([json.loads(path.read_text()) for path in sorted(arguments.peers.glob("*.json"))], latency)
    front = set(pareto_front({name: (point.time, point.eer) for name, point in {**ours, **peers}.items()}))
    rows = [
        (
            name,
            f"{p.time:.2f}",
            f"{100 * p.eer:.1f} ({100 * p.low:.1f} to {100 * p.high:.1f})",
            "yes" if name in front else "no",
        )
        for name, p in sorted({**ours, **peers}.items(), key=lambda item: item[1].time)
    ]
    arguments.out.with_suffix(".md").write_text(
        REMARK + table(("network", "time / stock", "EER (95 % interval over people)", "on the front"), rows) + "\n"
    )
    draw(ours, peers, arguments.out.with_suffix(".png"))


def of_report(report: dict[str, Any], latency: dict[str, Any]) -> dict[str, Point]:
    """Every configuration, by the time of a specialised session."""
    return {
        word: Point(latency["configurations"][word]["specialised"], row["eer"], *row["intervals"]["eer"])
        for word, row in report["configurations"].items()
    }


def of_records(records: list[dict[str, Any]], latency: dict[str, Any]) -> dict[str, Point]:
    """The peers among a study's records, each on all rows that it judged."""
    return {
        record["arm"]: Point(
            sum(latency["peers"][file] for file in FILES[record["arm"]]),
            *record["configurations"][record["arm"]]["all"]["eer"],
        )
        for record in records
        if record["arm"] in FILES
    }


def draw(ours: dict[str, Point], peers: dict[str, Point], path: Path) -> None:
    names: list[str] = []
    with figure(path, names, (7.5, 5.0)) as axes:
        for word, point in ours.items():
            colour = COLOURS[NAMED.index(word)] if word in NAMED else GREY
            label = word if word in NAMED else None
            axes.plot(point.time, 100 * point.eer, "o", color=colour, label=label, zorder=2 + (label is not None))
        for name, point in peers.items():
            axes.plot(point.time, 100 * point.eer, "k^")
            axes.annotate(name, (point.time, 100 * point.eer), xytext=(4, 4), textcoords="offset points")
        axes.set_xlabel("time of a picture, stock MobileNetV2 = 1")
        axes.set_ylabel("EER %")
        axes.set_xscale("log", base=2)
        ticks = (0.5, 1, 2, 4)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.grid(alpha=0.3)
        axes.legend(title="configuration")


if __name__ == "__main__":
    main()
