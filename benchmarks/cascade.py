"""What a cascade costs and how often it errs: one word for every picture, a second for those left in doubt.

Times: one thread, batch 1, CPU time of the calling thread, all rows interleaved in one run, as ratios to HHH. The
curve: bands and thresholds (equal error rates) from development scores, judged on other scores where they are
given; both are files of ``ostiary evaluate liveness``. Prints Markdown tables; ``--out`` writes JSON.

python benchmarks/cascade.py --development DEV/scores.csv --judged TEST/scores.csv --out results/cascade.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from machine import describe
from ostiary.metrics.bootstrap import paired_difference
from ostiary.metrics.cascade import ALIGNED_THRESHOLD, CascadePoint, Stage, cascade_curve, cascade_point, cascaded
from ostiary.metrics.operating_point import error_statistic
from ostiary.metrics.thresholds import choose_threshold
from ostiary.reports.scores import ScoreTable, read_scores
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Band
from ostiary.runtime.timing import Samples, interleave, ratio

BASE = "HHH"
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
RATES = ("apcer_max", "apcer_pooled", "bpcer", "acer_pooled", "eer")


def times(weights: str | None, first: str, second: str, rounds: int) -> dict[str, Any]:
    """Milliseconds, ratios and multiply-adds of each row, specialised and switched."""
    with TemporaryDirectory() as folder:
        # A session for each word, with what it hands over and without, and one behind the trunk.
        model = LivenessModel(weights or random_weights(Path(folder) / "random.onnx"), keep=8)
        calls = dict(rows(model, first, second))
        samples = interleave(calls, rounds=rounds)
    base = samples[f"{BASE}/specialised"]
    macs = {word: record.macs for word, record in model.metadata.configurations.items()}
    found: dict[str, Any] = {}
    for name, sample in samples.items():
        row, mode = name.split("/")
        word, behind = row.split()[0], "from activations" in row
        found.setdefault(row, {"macs": macs[word] - model.trunk.macs * behind})[mode] = timed(sample, base)
    return {"model": model.metadata.name, "rounds": rounds, "rows": found}


def rows(model: LivenessModel, first: str, second: str) -> Sequence[tuple[str, Callable[[], object]]]:
    size = model.metadata.preprocess.size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    _, activations = model.start(crop, first)
    calls: list[tuple[str, Callable[[], object]]] = []
    for mode, switched in (("specialised", False), ("switched", True)):
        for word in dict.fromkeys((BASE, first, second)):
            calls.append((f"{word}/{mode}", partial(model.logits, crop, word, switched=switched)))
        start, resume = (
            partial(model.start, crop, first, switched=switched),
            partial(model.resume, activations, second, switched=switched),
        )
        calls += [(f"{first} with activations/{mode}", start), (f"{second} from activations/{mode}", resume)]
    return calls


def timed(sample: Samples, base: Samples) -> dict[str, Any]:
    compared = ratio(sample, base)
    return {"ms": sample.median, "ratio": compared.value, "quartiles": list(compared.quartiles)}


def random_weights(path: Path) -> str:
    """The adaptive MobileNetV2 with random weights and statistics by word, on which time does not depend."""
    import torch

    from ostiary.adaptive import recalibrate_all, words
    from ostiary.export.card import Card
    from ostiary.export.onnx import export_liveness
    from ostiary.networks.mobilenet_v2 import pta_mobilenet_v2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = pta_mobilenet_v2()
    preprocess = LivenessModel().metadata.preprocess
    noise = [torch.randn(8, 3, preprocess.size, preprocess.size)]
    card = Card(
        name="random weights", version="0", licence="none", data=["noise"], preprocess=preprocess,
        training_commit="none", default_configuration=BASE,
    )  # fmt: skip
    return str(export_liveness(net, path, card, statistics=recalibrate_all(net, words(net), noise)))


def curve(
    development: ScoreTable,
    judged: ScoreTable,
    pair: tuple[str, str],
    shares: Sequence[float],
    cost: dict[str, float],
) -> list[dict[str, Any]]:
    """A row for each word alone and for each share of pictures that may go on."""
    first, second = pair
    data = ", ".join(development.datasets)
    thresholds = {
        word: choose_threshold(development.configurations[word].trials(), data=data, rule="eer").value
        for word in (*pair, BASE)
    }

    def stage(table: ScoreTable, word: str, row: str) -> Stage:
        return Stage(word, table.configurations[word].trials(), thresholds[word], cost[row])

    def stages(table: ScoreTable) -> tuple[Stage, Stage]:
        return stage(table, first, f"{first} with activations"), stage(table, second, f"{second} from activations")

    reference = stage(judged, second, second)
    found = []
    for word in dict.fromkeys((first, BASE, second)):
        alone = stage(judged, word, word)
        band = Band(first=word, second=word, low=alone.threshold, high=alone.threshold)
        found.append(record(word, (alone, alone), cascade_point(alone, alone, band), reference))
    points = cascade_curve(stages(development), stages(judged), shares, data=data)
    for share, point in zip(shares, points, strict=True):
        found.append(record(f"{first} > {second}, {100 * share:g} %", stages(judged), point, reference))
    return found


def record(name: str, stages: tuple[Stage, Stage], point: CascadePoint, reference: Stage) -> dict[str, Any]:
    """The point as plain values, with its ACER minus the reference's by a paired bootstrap over people."""
    values = asdict(point) | {"row": name, "band": point.band.model_dump(exclude_none=True)}
    trials = cascaded(*stages, point.band)
    if trials.person is None or stages[0].word == reference.word:
        return values
    people = int(trials.person.max()) + 1
    before = error_statistic(reference.trials, reference.threshold, trials.person)
    after = error_statistic(trials, ALIGNED_THRESHOLD, trials.person)
    difference = paired_difference(before, after, people, width=people)["acer_pooled"]
    return values | {"acer_difference": [difference.value, difference.low, difference.high]}


def times_table(report: dict[str, Any]) -> str:
    lines = [
        f"{report['model']}, {report['rounds']} rounds. Ratios of medians to {BASE}, specialised, in brackets the "
        "quartiles of the rounds' ratios.",
        "",
        "| row | 10^6 multiply-adds | specialised | switched per call |",
        "|---|---|---|---|",
    ]
    for name, row in report["rows"].items():
        cells = [
            f"{row[mode]['ratio']:.3f} ({row[mode]['quartiles'][0]:.2f} to {row[mode]['quartiles'][1]:.2f})"
            for mode in ("specialised", "switched")
        ]
        lines.append(f"| {name} | {row['macs'] / 1e6:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def curve_table(rows: Sequence[dict[str, Any]], second: str) -> str:
    lines = [
        f"Cost is that of specialised sessions, relative to {BASE}; rates and shares in %; in brackets 95 % by "
        "bootstrap over people.",
        "",
        "| row | go on: all | bona fide | attacks | mean cost | APCER max | APCER pooled | BPCER | ACER | EER "
        f"| ACER minus that of {second} |",
        "|---" * 11 + "|",
    ]
    for row in rows:
        shares = [f"{100 * row[name]:.1f}" for name in ("share", "share_bona_fide", "share_attack")]
        rates = [f"{100 * row[name]:.2f}" for name in RATES]
        value, low, high = (100 * x for x in row.get("acer_difference", [0, 0, 0]))
        difference = f"{value:+.2f} ({low:+.2f} to {high:+.2f})" if "acer_difference" in row else "-"
        cells = [row["row"], *shares, f"{row['cost']:.3f}", *rates, difference]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a weights file or a packaged name; default: random weights")
    parser.add_argument("--first", default="LLL", help="the word that sees every picture")
    parser.add_argument("--second", default="BBB", help="the word that sees the doubtful ones")
    parser.add_argument("--development", type=Path, nargs="*", default=[], help="score files for the bands")
    parser.add_argument("--judged", type=Path, nargs="*", default=[], help="score files to judge; default: those")
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES, help="shares of pictures that go on")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    pair = arguments.first, arguments.second
    report: dict[str, Any] = {"machine": describe(), "times": times(arguments.weights, *pair, arguments.rounds)}
    print(f"{report['machine']}\n\n{times_table(report['times'])}")
    if arguments.development:
        tables = [
            ScoreTable.concatenate(read_scores(path) for path in files)
            for files in (arguments.development, arguments.judged or arguments.development)
        ]
        cost = {name: row["specialised"]["ratio"] for name, row in report["times"]["rows"].items()}
        report["curve"] = curve(tables[0], tables[1], pair, arguments.shares, cost)
        same = "" if arguments.judged else " Bands, thresholds and rates come from the same pictures."
        print(f"\nData: {', '.join(tables[1].datasets)}.{same} {curve_table(report['curve'], arguments.second)}")
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
