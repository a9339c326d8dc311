"""The plots of a liveness report: DET curves, scores by species, error against cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import MissingExtraError
from ostiary.metrics import curve as curves
from ostiary.metrics.trials import Trials
from ostiary.reports.liveness_report import Report
from ostiary.reports.scores import ScoreTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette: told apart by colour-blind readers too."""
GREY = "#b8b8b8"
NAMED = ("HHH", "LHH", "HLH", "HHL", "LLL", "BBB")
"""The configurations of the PTA paper's table."""
BINS = 50


def draw_plots(table: ScoreTable, report: Report, folder: Path) -> list[str]:
    """Write every plot that the data allow into ``folder`` and return the file names.

    With many configurations a few are picked out in colour: the cheapest, the dearest, the one with the
    least equal error rate and the default; histograms are drawn of these alone.
    """
    words: Mapping[str, Report] = report["configurations"]
    picked = pick(report)
    colours = dict(zip(picked, COLOURS, strict=False))
    names: list[str] = []
    both = [word for word in words if words[word]["auc"] is not None]
    if both:
        with figure(folder / "det.png", names, (6.4, 6.0)) as axes:
            _det(axes, {word: table.configurations[word].trials() for word in both}, report, colours)
    files = file_names(picked)
    for word in picked:
        trials = table.configurations[word].trials()
        kinds = (["bona fide"] if trials.bona_fide.any() else []) + trials.attack_species
        with figure(
            folder / f"scores_{files[word]}.png", names, (7.0, 1.2 + 0.85 * len(kinds)), len(kinds)
        ) as rows:
            _histograms(np.atleast_1d(rows), trials, kinds, word, words[word]["threshold"])
    if report["cost"] and len(both) > 1:
        with figure(folder / "error_against_cost.png", names, (7.0, 5.0)) as axes:
            _pareto(axes, report, both, colours)
    return names


def draw_dets(table: ScoreTable, thresholds: Mapping[str, float], folder: Path) -> dict[str, str]:
    """A DET figure a data set with the curves of all configurations, and a dot where each threshold puts its door.

    The configurations of ``NAMED`` (of any few that there are, all) are in colour, the rest in thin grey.

    Returns:
        File names by data set; data sets without both classes have none.

    """
    names: list[str] = []
    files = {}
    words = list(table.configurations)
    named = [word for word in NAMED if word in words] if len(words) > len(COLOURS) else words
    colours = dict(zip(named or words, COLOURS, strict=False))
    for dataset, file in file_names(table.datasets).items():
        trials = {word: scores.trials(dataset) for word, scores in table.configurations.items()}
        answered = {word: some.select(some.answered) for word, some in trials.items()}
        both = {word: some for word, some in answered.items() if some.bona_fide.any() and not some.bona_fide.all()}
        if both:
            with figure(folder / f"det_{file}.png", names, (7.2, 6.6)) as axes:
                _det_of_data(axes, both, thresholds, colours, dataset or "unnamed data")
            files[dataset] = names[-1]
    return files


def pick(report: Report) -> list[str]:
    """The configurations that are shown in colour, at most six, in the order of the report."""
    words: Mapping[str, Report] = report["configurations"]
    if len(words) <= len(COLOURS):
        return list(words)
    cost = (report["cost"] or {}).get("by_configuration", {})
    priced = [word for word in words if word in cost]
    judged = [word for word in words if words[word]["eer"] is not None]
    wanted = {report["header"].get("default_configuration"), next(iter(words))}
    if priced:
        wanted |= {min(priced, key=lambda word: cost[word]), max(priced, key=lambda word: cost[word])}
    if judged:
        wanted.add(min(judged, key=lambda word: words[word]["eer"]))
    return [word for word in words if word in wanted]


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (cost, error) points that no other point beats in both, by rising cost."""
    front: list[str] = []
    best = float("inf")
    for name in sorted(points, key=lambda name: points[name]):
        if points[name][1] < best:
            front.append(name)
            best = points[name][1]
    return front


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A name for files by name of a configuration or data set, which in other people's files may be anything."""
    found: dict[str, str] = {}
    for name in names:
        plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name) or "unnamed"
        number = sum(other == plain or other.startswith(f"{plain}~") for other in found.values())
        found[name] = f"{plain}~{number + 1}" if number else plain
    return found


def _det(axes: Axes, trials: Mapping[str, Trials], report: Report, colours: Mapping[str, str]) -> None:
    answered = {word: some.select(some.answered) for word, some in trials.items()}
    _det_curves(axes, answered, colours, _least_error(answered))
    axes.set_xlabel("APCER, all species pooled (%)")
    axes.set_ylabel("BPCER (%)")
    axes.set_title(f"Detection error trade-off, {_data_name(report)}")
    axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, loc="upper right")


def _det_of_data(
    axes: Axes,
    trials: Mapping[str, Trials],
    thresholds: Mapping[str, float],
    colours: Mapping[str, str],
    name: str,
) -> None:
    low = _least_error(trials)
    _det_curves(axes, trials, colours, low)
    for place, (word, some) in enumerate(sorted(trials.items(), key=lambda item: item[0] in colours)):
        if word in thresholds:
            accepted = some.liveness >= thresholds[word]
            errors = accepted[~some.bona_fide].mean(), (~accepted[some.bona_fide]).mean()
            at = _deviate(np.clip(errors, low, _HIGH))  # on the axis where there is no error at all
            # The last are the smallest: where several stand on one spot, all are seen as rings.
            size = 6.0 + 1.0 * (len(trials) - place) if word in colours else 4.0
            axes.plot(*at, "o", ms=size, color=colours.get(word, GREY), mec="white", clip_on=False, zorder=4)
    if all(curves.equal_error(some)[0] == 0 for some in trials.values()):
        note = "No line is to be seen: at a threshold of its own\neach configuration makes no error here."
        axes.text(0.4, 0.4, note, transform=axes.transAxes, ha="center", va="center", backgroundcolor="white")
    if any(word in thresholds for word in trials):
        axes.plot([], [], "o", ms=9, color="black", mec="white", label="where the stored\nthreshold puts it")
    if len(trials) > len(colours):
        axes.plot([], [], color=GREY, lw=0.7, label=f"{len(trials) - len(colours)} others")
    genuine = next(iter(trials.values())).bona_fide
    axes.set_xlabel(f"attacks accepted (%): APCER, species pooled, of {(~genuine).sum():,}")
    axes.set_ylabel(f"people refused (%): BPCER, of {genuine.sum():,}")
    axes.set_title(f"Both errors of each configuration on {name} (lower left is better)")
    axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, loc="upper right", fontsize=9)


def _least_error(trials: Mapping[str, Trials]) -> float:
    """The least error that the axes show: half of one presentation's share."""
    smallest = min(min(t.bona_fide.sum(), (~t.bona_fide).sum()) for t in trials.values())
    return float(np.clip(0.5 / smallest, 1e-5, 0.02))


def _det_curves(axes: Axes, trials: Mapping[str, Trials], colours: Mapping[str, str], low: float) -> None:
    """Both errors on normal-deviate axes, where equal normal distributions give straight lines."""
    for word, some in sorted(trials.items(), key=lambda item: item[0] in colours):
        found = curves.curve(some)
        x, y = (_deviate(np.clip(error, low / 10, 0.99)) for error in (found.apcer, found.bpcer))
        colour = colours.get(word)
        label = f"{word}  (EER {100 * curves.equal_error(some)[0]:.2f} %)" if colour else None
        axes.plot(x, y, color=colour or GREY, lw=1.8 if colour else 0.7, label=label, drawstyle="steps-post")
    ticks = [tick for tick in _DET_TICKS if low <= tick <= _HIGH]
    labels = [f"{100 * tick:g}" for tick in ticks]
    axes.set_xticks(_deviate(np.array(ticks)), labels)
    axes.set_yticks(_deviate(np.array(ticks)), labels)
    limits = _deviate(np.array([low, _HIGH]))
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.plot(limits, limits, color=GREY, lw=0.8, ls=":")


def _histograms(
    rows: NDArray[Any], trials: Trials, kinds: Sequence[str], word: str, threshold: float | None
) -> None:
    edges = np.linspace(0, 1, BINS + 1)
    largest = max((trials.bona_fide & trials.answered).sum(), (~trials.bona_fide & trials.answered).sum(), 1)
    bottom = min(0.05, 50 / largest)  # low enough for a single presentation to show
    for axes, kind in zip(rows, kinds, strict=True):
        genuine = kind == "bona fide"
        members = (trials.bona_fide if genuine else trials.of(kind)) & trials.answered
        scores = trials.liveness[members]
        colour = COLOURS[0] if genuine else COLOURS[1]
        if len(scores):
            axes.hist(scores, edges, weights=np.full(len(scores), 100 / len(scores)), color=colour, alpha=0.85)
        axes.set(xlim=(0, 1), ylim=(bottom, 130), yscale="log")
        axes.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
        axes.minorticks_off()
        axes.set_ylabel(f"{kind}\nn = {len(scores):,}", rotation=0, ha="right", va="center")
        axes.tick_params(labelbottom=False)
        if threshold is not None and len(scores):
            axes.axvline(threshold, color="black", lw=1, ls="--")
            wrong = 100 * float((scores < threshold).mean() if genuine else (scores >= threshold).mean())
            text = f"{wrong:.1f} % {'refused' if genuine else 'accepted'}"
            axes.text(1.01, 0.5, text, transform=axes.transAxes, va="center")
    rows[-1].tick_params(labelbottom=True)
    rows[-1].set_xlabel("liveness" + ("" if threshold is None else f"   (dashed: threshold {threshold:.4g})"))
    rows[0].set_title(f"Share of presentations by liveness (%), configuration {word}")


def _pareto(axes: Axes, report: Report, words: Sequence[str], colours: Mapping[str, str]) -> None:
    cost = report["cost"]["by_configuration"]
    found: Mapping[str, Report] = report["configurations"]
    points = {word: (float(cost[word]), 100 * float(found[word]["eer"])) for word in words if word in cost}
    front = pareto_front(points)
    for word, (x, y) in points.items():
        low, high = (100 * limit for limit in found[word]["intervals"]["eer"])
        colour = colours.get(word)
        bars = [[max(0.0, y - low)], [max(0.0, high - y)]] if word in front or colour else None
        order = 3 if colour else 2
        axes.errorbar(x, y, bars, fmt="o", ms=6, color=colour or GREY, elinewidth=0.9, capsize=2.5, zorder=order)
        if bars:
            axes.annotate(word, (x, y), (6, 5), textcoords="offset points", fontsize=9, zorder=5)
    axes.step(*zip(*(points[word] for word in front), strict=True), where="post", color="black", lw=1, alpha=0.6)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(report["cost"]["measure"])
    axes.set_ylabel("equal error rate (%), 95 % interval")
    axes.set_title(f"Error against cost, {_data_name(report)}")


_HIGH = 0.6
_DET_TICKS = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


def _deviate(share: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        from scipy.special import ndtri
    except ImportError:
        raise MissingExtraError("scipy", "evaluate") from None
    return np.asarray(ndtri(share), np.float64)


def _data_name(report: Report) -> str:
    names = report["header"]["data"]
    return ", ".join(names) if 0 < len(", ".join(names)) <= 40 else f"{len(names)} data sets"


@contextmanager
def figure(
    path: Path, names: list[str], size: tuple[float, float], rows: int = 1, columns: int = 1
) -> Iterator[Any]:
    """Axes to draw on (an array of them for several rows or columns), saved to ``path`` when the block ends well.

    The file's name is added to ``names``.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "evaluate") from None
    canvas = FigureCanvasAgg(Figure(figsize=size, layout="constrained"))
    axes = canvas.figure.subplots(rows, columns)
    for one in np.ravel(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, lw=0.6)
    yield axes
    canvas.figure.savefig(path, dpi=150)
    names.append(path.name)
