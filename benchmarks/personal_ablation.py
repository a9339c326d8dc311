"""Which part of the recipe of personal verifiers is worth what? Several trained models on the same people.

    python benchmarks/personal_ablation.py --model runs/head/model.safetensors \\
        --other runs/no_hard/model.safetensors --index people.csv --images FACES \\
        --backbone teachers/slim_face.npz --cache cache --json ablation.json

Each person held out of the training is enrolled with one picture, and up to five others are the probes, the same
as after each epoch of the training. Intervals and differences from the first model: bootstrap over people.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from held_out import add_options, header, open_people
from ostiary.errors import ConfigurationError
from ostiary.reports.markdown import table
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.run import TrainedPersonal, load_personal
from ostiary.training.personal.sampling import pictures_of
from ostiary.training.personal.task import held_comparisons
from personal_shots import RATES, by_cosine, by_networks, comparisons, rate_cells, rates

BACKBONE = "the backbone's cosine"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--other", type=Path, action="append", default=[], help="another model; repeatable")
    options = parser.parse_args()
    people = open_people(options)
    models = {name_of(options.model): people.model}
    for path in options.other:
        model = load_personal(path)
        if model.record["backbone_sha256"] != people.model.record["backbone_sha256"]:
            raise ConfigurationError(f"{path} was trained for another backbone than {options.model}.")
        models[name_of(path)] = model
    found = measure(models, people.judged, options.seed)
    steps = {name: len(model.record["history"]) * model.recipe.steps_per_epoch for name, model in models.items()}
    said = header(people, options)
    persons = len(pictures_of(people.judged.people))
    print(f"Backbone {said['backbone']}; {persons} {said['people']}; 95 % intervals and paired differences from "
          "the first model by bootstrap over people.\n")  # fmt: skip
    print(page(found, models, steps))
    if options.json:
        options.json.write_text(json.dumps({"header": said, "models": found, "steps": steps}, indent=1) + "\n")


def name_of(path: Path) -> str:
    """The folder of the run."""
    return path.parent.name


def measure(models: dict[str, TrainedPersonal], faces: Enrollable, seed: int) -> dict[str, Any]:
    """Rates of each model, and of the backbone, with differences from the first model."""
    recipe = next(iter(models.values())).recipe
    enrolled, probes = held_comparisons(faces, recipe)
    rows, owner = faces.embeddings[enrolled], faces.people[probes]
    places = np.searchsorted(faces.people[enrolled], owner)
    persons = np.stack(np.meshgrid(np.arange(len(enrolled)), places, indexing="ij"), -1).reshape(-1, 2)
    values: dict[str, NDArray[np.float64]] = {
        name: by_networks(model, faces, probes, rows) for name, model in models.items()
    }
    values[BACKBONE] = by_cosine(next(iter(models.values())), faces, probes, rows)
    return rates({name: comparisons(found.ravel(), persons) for name, found in values.items()}, seed)


def page(found: dict[str, Any], models: dict[str, TrainedPersonal], steps: dict[str, int]) -> str:
    """The rates as Markdown."""
    first = next(iter(found))
    head = ["run", "form", "steps", *(cell for name in RATES.values() for cell in (name, f"less that of {first}"))]
    rows = []
    for name, by_rate in found.items():
        form = models[name].recipe.form if name in models else "-"
        rows.append([name, form, str(steps.get(name, "-")), *rate_cells(by_rate)])
    return table(head, rows)


if __name__ == "__main__":
    main()
