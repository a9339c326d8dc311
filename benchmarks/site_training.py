"""What do pictures of one's own camera bring? A network that never saw a data set, and a few people of it.

The network comes from a run without that data set. Some people of the set's splits train and development are "the
site's": with all of them a threshold is chosen; or half of them train the network further by the recipe `site`,
and the threshold comes from the other half. Judged on people of the same set that the site does not have: its test
people, or with --judge rest all others of the two splits, for choosing a recipe. "elsewhere" is the mean AUC over
the data sets that the network came with (test people, one frame a recording): what the new pictures cost there.

    python benchmarks/site_training.py --start runs/without_x/model.safetensors --learnt CSV... --site x.csv \
        --images TAR... --people 4,12,28 --draws 2 --out runs/site --json x.json
    python benchmarks/site_table.py x.json y.json > results/site_training.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.metrics.curve import auc
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.thresholds import Rule, choose_threshold
from ostiary.reports.provenance import commit
from ostiary.reports.scores import Scores
from ostiary.study.judging import Answers, ask_network
from ostiary.training.liveness import one_a_recording
from ostiary.training.model import load_model
from ostiary.training.recipe import Recipe, recipe
from ostiary.training.run import RunSettings, train_liveness

WORDS = ("HHH", "LLL")
RULES: tuple[Rule, ...] = ("eer", "centres")
"""By which a site's threshold is chosen (metrics/thresholds.py)."""
AS_IT_CAME = "as it came"
Rates = dict[str, dict[str, Any]]
"""Word -> name of a rate -> its value with both ends of its interval, or a count."""


def drawn(site: Index, people: int, seed: int) -> list[str]:
    """As many subjects of the splits train and development, of whom both halves have pictures of both classes."""
    subjects = sorted({sample.subject for sample in site if sample.split != "test"})
    random = np.random.default_rng(seed)
    for _ in range(1000):
        chosen = [str(name) for name in random.permutation(subjects)[:people]]
        halves = (set(chosen[::2]), set(chosen[1::2]))
        classes = [{sample.label for sample in site if sample.subject in half} for half in halves]
        if all(len(found) == 2 for found in classes):
            return chosen
    raise SystemExit(f"No {people} people whose halves have both bona fide pictures and attacks: ask for more.")


def split(site: Index, chosen: list[str]) -> Index:
    """The chosen people's rows: every second person to learn from, the others for the threshold."""
    place = {name: "train" if at % 2 == 0 else "development" for at, name in enumerate(chosen)}
    return Index(replace(sample, split=place[sample.subject]) for sample in site if sample.subject in place)


def rates(answers: Answers, thresholds: Mapping[str, float], judged: set[str], elsewhere: Index) -> Rates:
    """Error rates of each word on the judged pictures, with intervals over people, and the AUC elsewhere."""
    found = {}
    for word, scores in answers.judged.configurations.items():
        rate = pad_rates(of(scores, judged).trials(), thresholds[word])
        areas = [
            auc(of(scores, {sample.path for sample in elsewhere.select(dataset=name)}).trials())
            for name in elsewhere.datasets
        ]
        found[word] = {
            name: [value.value, value.interval.low, value.interval.high]
            for name in ("auc", "eer", "acer_pooled", "apcer_pooled", "apcer_max", "bpcer")
            if (value := getattr(rate, name)) is not None
        } | {
            "n_bona_fide": rate.n_bona_fide,
            "n_attack": rate.n_attack,
            "people": rate.people,
            "elsewhere": float(np.mean(areas)),
        }
    return found


def fitted(answers: Answers, rows: set[str], rule: Rule) -> dict[str, float]:
    """The threshold of each word by a rule on these pictures."""
    return {
        word: choose_threshold(of(scores, rows).trials(), data="the site's people", rule=rule).value
        for word, scores in answers.judged.configurations.items()
    }


def of(scores: Scores, rows: set[str]) -> Scores:
    """The scores of these pictures."""
    places = [at for at, sample in enumerate(scores.samples) if sample.path in rows]
    return Scores(
        tuple(scores.samples[at] for at in places),
        scores.liveness[places],
        tuple(scores.reasons[at] for at in places),
    )


def train(chosen: Recipe, index: Index, pictures: PictureStore, start: Path, out: Path, cache: Path) -> Path:
    """The model of a site."""
    return train_liveness(
        chosen, index, pictures, RunSettings(out=out, cache=cache, start=start, workers=0, accelerator="cpu")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--learnt", type=Path, action="append", required=True, help="index of what start has seen")
    parser.add_argument("--site", type=Path, required=True, help="index of the data set that it has not seen")
    parser.add_argument("--images", type=Path, action="append", required=True)
    parser.add_argument("--people", default="4,12,28")
    parser.add_argument("--draws", type=int, default=2, help="choices of people")
    parser.add_argument("--judge", choices=("rest", "test"), default="test")
    parser.add_argument("--change", default="{}", help="changes of the recipe, JSON")
    parser.add_argument("--out", type=Path, default=Path("runs/site"), help="folder of the runs")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()

    pictures, cache = open_pictures(options.images), options.out / "cache"
    learnt = Index.concatenate(Index.read_csv(path) for path in options.learnt)
    site = Index.read_csv(options.site)
    base = recipe("site")
    chosen_recipe = Recipe.model_validate(_merged(base.model_dump(), json.loads(options.change)))
    start = load_model(options.start)
    known = learnt.select(split="test")
    elsewhere = Index(known[place] for place in one_a_recording(known))
    before = ask_network(start, learnt, Index.concatenate([site, elsewhere]), pictures, cache, WORDS)
    table: list[dict[str, Any]] = []
    print("| people | draw | what | word | AUC | EER % | HTER % | APCER % | BPCER % | elsewhere |")
    print(10 * "|---" + "|")

    def tell(people: int, draw: int, what: str, found: Rates) -> None:
        table.append({"people": people, "draw": draw, "what": what, "words": found})
        for word, one in found.items():
            shown = (
                [f"{one['auc'][0]:.3f}"]
                + [f"{100 * one[name][0]:.1f}" for name in ("eer", "acer_pooled", "apcer_pooled", "bpcer")]
                + [f"{one['elsewhere']:.3f}"]
            )
            print(f"| {people} | {draw} | {what} | {word} | {' | '.join(shown)} |", flush=True)

    for people in map(int, options.people.split(",")):
        for draw in range(options.draws):
            names = drawn(site, people, draw)
            rows = split(site, names)
            judged = {
                sample.path
                for sample in site
                if (sample.split == "test") == (options.judge == "test") and sample.subject not in names
            }
            own = {sample.path for sample in rows}
            as_came = {word: threshold.value for word, threshold in before.thresholds.items()}
            tell(people, draw, AS_IT_CAME, rates(before, as_came, judged, elsewhere))
            for rule in RULES:
                tell(
                    people,
                    draw,
                    f"own threshold, {rule}",
                    rates(before, fitted(before, own, rule), judged, elsewhere),
                )
            path = train(
                chosen_recipe,
                rows,
                pictures,
                options.start,
                options.out / f"{site.datasets[0]}-{people}-{draw}",
                cache,
            )
            own = {sample.path for sample in rows.select(split="development")}
            asked = [sample for sample in site if sample.path in judged | own]
            after = ask_network(
                load_model(path), rows, Index.concatenate([Index(asked), elsewhere]), pictures, cache, WORDS
            )
            for rule in RULES:
                tell(
                    people, draw, f"trained on, {rule}", rates(after, fitted(after, own, rule), judged, elsewhere)
                )
    if options.json:
        record = {
            "commit": commit(),
            "site": site.datasets[0],
            "judged": options.judge,
            "learnt": list(learnt.datasets),
            "recipe": base.name,
            "change": json.loads(options.change),
            "start": start.record["commit"],
            "start_epochs": start.record["history"][-1]["epoch"],
            "rows": table,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {
        **base,
        **{k: _merged(base[k], v) if isinstance(v, dict) else v for k, v in change.items()},
    }


if __name__ == "__main__":
    main()
