"""The robustness report for people: curves, the worst case in a sentence, a page with the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ostiary.reports.degradations import CLEAN
from ostiary.reports.markdown import ALL
from ostiary.reports.markdown import table as markdown_table
from ostiary.reports.plots import COLOURS, GREY, figure, file_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]

PANELS = (
    ("auc", 1, "AUC"),
    ("apcer_max", 100, "attacks accepted (%)\nAPCER, worst species"),
    ("bpcer", 100, "people refused (%)\nBPCER"),
)
"""What is drawn above each other: a rate, its factor, and its name for the reader."""


def draw_curves(report: Mapping[str, Any], folder: Path) -> list[str]:
    """A figure a data set: AUC and both errors at the stored threshold along each axis, a line a configuration.

    Returns:
        The file names, that of all data together (``robustness.png``) first.

    """
    names: list[str] = []
    rows: Sequence[Row] = report["rows"]
    axes: Mapping[str, Mapping[str, Any]] = report["axes"]
    together, *parts = dict.fromkeys(row["data"] for row in rows)
    files = {together: "robustness.png", **{p: f"robustness_{name}.png" for p, name in file_names(parts).items()}}
    for data, file in files.items():
        of_data = [row for row in rows if row["data"] == data]
        words = list(dict.fromkeys(row["configuration"] for row in of_data))
        shade = len(words) == 1  # several would hide each other; the page has all intervals
        with figure(folder / file, names, (2.9 * len(axes) + 0.6, 7.2), len(PANELS), len(axes)) as grid:
            panels = np.reshape(grid, (len(PANELS), len(axes)))
            for column, (name, axis) in enumerate(axes.items()):
                for place, (rate, factor, _) in enumerate(PANELS):
                    for number, word in enumerate(words):
                        line = _along(of_data, word, name, axis)
                        colour = COLOURS[number] if number < len(COLOURS) else GREY
                        _draw_line(panels[place, column], line, rate, factor, colour, word, shade=shade)
                panels[-1, column].set_xlabel(axis["title"])
            _finish(panels, data, of_data, shade=shade)
    return names


def render_robustness(report: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """Markdown of a robustness report; ``plots`` are names of pictures that lie beside the page."""
    header = report["header"]
    lines = [f"# Robustness on {', '.join(name or 'unnamed data' for name in header['data'])}", ""]
    lines += [f"- {key}: {header[key]}" for key in ("command", "ostiary", "date") if header.get(key)]
    if header.get("model"):
        lines.append("- model: " + ", ".join(f"{key} {value}" for key, value in header["model"].items()))
    splits = ", ".join(f"{count:,} {split or 'of no split'}" for split, count in header["splits"].items())
    lines.append(
        f"- {header['n']:,} presentations ({splits}); 95 % intervals in brackets from "
        f"{header['bootstrap_draws']:,} bootstrap draws, seed {header['seed']}"
    )
    silent = ", ".join(f"{reason} {count:,}" for reason, count in header["without_answer"].items())
    if silent:
        lines.append(f"- without an answer, and not part of the rates: {silent}")
    lines += ["", "**The worst case.**", *(f"- {sentence}" for sentence in report["worst"].values())]
    lines += ["", _INTRODUCTION]
    for (data, word), rows in _grouped(report["rows"]).items():
        lines += ["", f"## {word} on {data or 'unnamed data'}, threshold {rows[0]['threshold']:.4g}", ""]
        lines.append(markdown_table(_HEAD, (tuple(_cells(row)) for row in rows)))
    lines += ["", *(f"![{plot}]({plot})\n" for plot in plots)]
    return "\n".join(lines).rstrip() + "\n"


def worst_case(rows: Sequence[Row], word: str) -> str:
    """The level with the least AUC in one sentence; and that with the most errors at the threshold, if another."""
    own = [row for row in rows if row["configuration"] == word and row["data"] == rows[0]["data"]]
    clean = next(row for row in own if row["axis"] == CLEAN)
    least = min(own, key=lambda row: row["auc"])
    most = max(own, key=lambda row: row["apcer_max"] + row["bpcer"])
    if least is clean:
        sentence = f"No change of the pictures lowers the AUC of {word} below its {clean['auc']:.3f}"
    else:
        sentence = f"{word} tells people from attacks worst with {least['change']}: AUC {least['auc']:.3f}"
        sentence += f" instead of {clean['auc']:.3f}"
    if most is least and most is not clean:
        return f"{sentence}, and at the stored threshold {_errors(most)}."
    return f"{sentence}; the stored threshold errs most with {most['change']}, where {_errors(most)}."


_INTRODUCTION = (
    "The picture is changed before the face is cut out of it, at the box that the face has in the unchanged "
    "picture. APCER (of the worst species) and BPCER are at the threshold stored with the weights; AUC and EER "
    "are readings of the curve. Pictures that are narrower, softer or more compressed than a level from the "
    "start suffer less from it."
)
_HEAD = ("pictures", "AUC", "EER %", "APCER %", "worst species", "BPCER %")


def _errors(row: Row) -> str:
    return (
        f"{100 * row['apcer_max']:.0f} % of the attacks of the worst species pass and "
        f"{100 * row['bpcer']:.0f} % of the people are refused"
    )


def _along(rows: Sequence[Row], word: str, name: str, axis: Mapping[str, Any]) -> list[tuple[str, Row]]:
    """(tick, row) along an axis, with the unchanged pictures where they belong."""
    own = {row["level"]: row for row in rows if row["configuration"] == word and row["axis"] in (name, CLEAN)}
    levels: list[float | None] = list(axis["levels"])
    levels.insert(axis["clean_place"], None)
    return [("as is" if level is None else _tick(name, level), own[level]) for level in levels]


def _tick(name: str, level: float) -> str:
    if name == "brightness":
        return f"{level:+g}"
    return f"{100 * level:g} %" if level < 1 else f"{level:g}"


def _draw_line(
    axes: Axes, line: Sequence[tuple[str, Row]], rate: str, factor: float, colour: str, word: str, *, shade: bool
) -> None:
    shown = [(place, row) for place, (_, row) in enumerate(line) if row[rate] is not None]
    places = [place for place, _ in shown]
    axes.plot(places, [factor * row[rate] for _, row in shown], "o-", ms=4, lw=1.8, color=colour, label=word)
    if shade and shown:
        low, high = zip(*(row["intervals"][rate] for _, row in shown), strict=True)
        axes.fill_between(places, factor * np.array(low), factor * np.array(high), color=colour, alpha=0.13, lw=0)
    axes.set_xticks(range(len(line)), [tick for tick, _ in line])


def _finish(panels: Any, data: str, rows: Sequence[Row], *, shade: bool) -> None:
    for (rate, factor, name), across in zip(PANELS, panels, strict=True):
        across[0].set_ylabel(name)
        values = [factor * row[rate] for row in rows if row[rate] is not None]
        floor = min([0.8, *values]) - 0.02 if rate == "auc" else -2
        for axes in across:
            axes.set_ylim(floor, 1.005 if rate == "auc" else max([20, *values]) * 1.06)
            if axes is not across[0]:
                axes.tick_params(labelleft=False)
    panels[0, 0].legend(loc="lower left", frameon=False)
    name = "all data" if data == ALL else data or "unnamed data"
    panels[0, 0].figure.suptitle(
        f"How the errors on {name} grow when pictures get worse (upper row: higher is better; "
        f"lower rows: lower is better{'; shaded: 95 % interval' if shade else ''})"
    )


def _grouped(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["configuration"]), []).append(row)
    return groups


def _cells(row: Row) -> Iterator[str]:
    yield row["change"]
    yield _rate(row, "auc", 1, 3)
    yield from (_rate(row, name, 100, 1) for name in ("eer", "apcer_max"))
    yield row["worst_species"] or "-"
    yield _rate(row, "bpcer", 100, 1)


def _rate(row: Row, name: str, factor: float, digits: int) -> str:
    if row[name] is None:
        return "-"
    low, high = (factor * limit for limit in row["intervals"][name])
    return f"{factor * row[name]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
