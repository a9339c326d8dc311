"""What several frames of a recording are worth: errors against the number of frames and the time they take.

Reads score files that ``ostiary evaluate liveness --out DIR`` wrote (DIR/scores.csv) and prints a Markdown table;
``--out`` writes clips.json and clips.png. Thresholds and evidence come from recordings of split development, and
recordings of split ``--judge`` are judged. ``--judge halves`` stays inside of the development split: each half of
its people is judged by what was fitted on the other.

python benchmarks/clips.py DIR/scores.csv --judge halves --out OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ostiary.metrics.rates import Rate
from ostiary.reports.clips import ALL, TARGETS, ClipReport, Point, clip_report
from ostiary.reports.folder import replacing
from ostiary.reports.plots import COLOURS
from ostiary.reports.recordings import Fold, halves, recordings
from ostiary.reports.scores import Scores, ScoreTable, read_scores

HALVES = "halves"
HEAD = (
    "rule", "recordings", "frames", "bona fide / attack", "time", "EER", "EER minus that of the first row",
    "APCER", "worst species", "BPCER", "by evidence: all / APCER / BPCER",
)  # fmt: skip
FEW_PEOPLE = 5  # fewer are not worth a table of their own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, nargs="+", help="score files; their rows are joined")
    parser.add_argument("--words", help="configurations separated by commas; default: all of the score files")
    parser.add_argument("--judge", default="test", help="the split to judge, or halves; default: test")
    parser.add_argument(
        "--targets", default=",".join(f"{t:g}" for t in TARGETS), help="rates of the sequential test"
    )
    parser.add_argument(
        "--latency", type=Path, default=Path("results/latency.json"), help="from benchmarks/latency.py"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the halves and the bootstrap")
    parser.add_argument("--out", type=Path, help="folder for clips.json and clips.png")
    arguments = parser.parse_args()
    found = ScoreTable.concatenate(read_scores(path) for path in arguments.scores).configurations
    words = arguments.words.split(",") if arguments.words else list(found)
    costs = json.loads(arguments.latency.read_text())["configurations"]
    targets = [float(target) for target in arguments.targets.split(",")]
    reports: dict[str, ClipReport] = {}
    for word in words:
        folds = folds_of(found[word], arguments.judge, arguments.seed)
        reports[word] = clip_report(folds, targets=targets, seed=arguments.seed)
        cost = costs.get(word, {}).get("specialised")
        print(page(word, reports[word], cost), end="\n\n")
    if arguments.out:
        content = {
            word: {**report.to_dict(), "cost_per_frame": costs.get(word)} for word, report in reports.items()
        }
        record = {"judged": arguments.judge, "seed": arguments.seed, "configurations": content}
        with replacing(arguments.out) as folder:
            (folder / "clips.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
            draw(reports, folder / "clips.png")


def folds_of(scores: Scores, judge: str, seed: int) -> tuple[Fold, ...]:
    development = recordings(scores, "development")
    return halves(development, seed) if judge == HALVES else (Fold(development, recordings(scores, judge)),)


def page(word: str, report: ClipReport, cost: float | None) -> str:
    lines = [f"## {word}"]
    for place, fit in enumerate(report.fits, start=1):
        e = fit.evidence
        lines += ["", f"Fit {place}: log-likelihood ratio of a frame {e.slope:.3f} x log-odds {e.offset:+.3f}, "
                  f"correlation of two frames {e.correlation:.3f}: no clip counts as more than "
                  f"{1 / max(e.correlation, 1e-9):.2f} independent frames."]  # fmt: skip
    for name, points in report.curves.items():
        if worth_showing(name, points[0]):
            lines += ["", f"**{name}**, {people(points[0])}", "", table(points, cost)]
    left_out = [name for name, points in report.curves.items() if not worth_showing(name, points[0])]
    if left_out:
        lines += ["", f"Fewer than {FEW_PEOPLE} people, only in clips.json: {', '.join(left_out)}."]
    return "\n".join([*lines, *(f"\n> {note}" for note in report.notes)])


def table(points: Sequence[Point], cost: float | None) -> str:
    rows = [HEAD, ["---"] * len(HEAD), *(cells(point, cost) for point in points)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cells(point: Point, cost: float | None) -> list[str]:
    gain = point.gain
    return [
        point.rule,
        str(point.recordings) + (f" ({point.no_answer} without an answer)" if point.no_answer else ""),
        f"{point.frames:.2f}",
        " / ".join(f"{point.frames_of[name]:.2f}" if name in point.frames_of else "-" for name in LABELS),
        "-" if cost is None else f"{point.frames * cost:.2f}",
        percent(point.eer),
        "-" if gain is None else f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})",
        percent(point.apcer),
        point.worst_species or "-",
        percent(point.bpcer),
        evidence(point),
    ]


LABELS = ("bona_fide", "attack")


def evidence(point: Point) -> str:
    if point.by_evidence is None:
        return "-"
    wrong = [percent(rate) for rate in (point.evidence_apcer, point.evidence_bpcer)]
    return " / ".join([f"{100 * point.by_evidence:.0f}", *wrong])


def percent(rate: Rate | None) -> str:
    if rate is None:
        return "-"
    return f"{100 * rate.value:.1f} ({100 * rate.interval.low:.1f} to {100 * rate.interval.high:.1f})"


def people(point: Point) -> str:
    known = [rate.people for rate in (point.eer, point.bpcer, point.apcer) if rate and rate.people is not None]
    return f"at least {known[0]} people in each class" if known else "people unknown"


def draw(reports: Mapping[str, ClipReport], path: Path) -> None:
    """A panel a data set: the means as a line, the sequential tests as crosses, with 95 % intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = next(iter(reports.values()))
    names = [name for name, points in first.curves.items() if worth_showing(name, points[0])]
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        for place, (word, report) in enumerate(reports.items()):
            colour = COLOURS[place % len(COLOURS)]
            means = [point for point in report.curves[name] if point.by_evidence is None]
            tests = [point for point in report.curves[name] if point.by_evidence is not None]
            bars(axes, means, colour, "o-", f"{word}, mean of frames")
            bars(axes, tests, colour, "x", f"{word}, sequential test")
        axes.set_title(f"{name} ({first.curves[name][0].recordings} recordings)")
        axes.set(xlabel="frames taken, mean of recordings", ylabel="equal error rate (%), 95 % interval")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.6)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(reports), fontsize=8
    )
    figure.savefig(path, dpi=150)


def worth_showing(name: str, point: Point) -> bool:
    known = None if point.eer is None else point.eer.people
    return name == ALL or known is None or known >= FEW_PEOPLE


def bars(axes, points: Sequence[Point], colour: str, style: str, label: str) -> None:  # type: ignore[no-untyped-def]
    kept = [(point.frames, point.eer) for point in points if point.eer is not None]
    if not kept:
        return
    x = [frames for frames, _ in kept]
    y = [100 * rate.value for _, rate in kept]
    low = [max(0.0, value - 100 * rate.interval.low) for value, (_, rate) in zip(y, kept, strict=True)]
    high = [max(0.0, 100 * rate.interval.high - value) for value, (_, rate) in zip(y, kept, strict=True)]
    axes.errorbar(x, y, [low, high], fmt=style, color=colour, ms=6, lw=1.5, elinewidth=0.7, capsize=2, label=label)


if __name__ == "__main__":
    main()
