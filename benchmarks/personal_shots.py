"""Does it help to enrol with several photos? One, three and five, by personal verifiers and the backbone's cosine.

    python benchmarks/personal_shots.py --model model.safetensors --index people.csv --images FACES \\
        --backbone teachers/slim_face.npz --cache cache --json shots.json

Only people with a picture more than the largest number of photos take part. In each round everybody's pictures
are shuffled: the first are enrolment photos, some others are the probes, which are the same for every way of
enrolling. Everybody is compared with all probes. "Mean": one template of the mean of the embeddings, at unit
length. "Highest": a template a photo, and the most similar one counts. Of pictures that the recipe takes for
copies of one another only one is used: a copy of a probe among the photos would tell nothing.

All rounds are judged together, at one threshold. Intervals draw people: a mated comparison counts as often as its
person was drawn, a non-mated one as often as both were. EER and FNMR are readings of the curve of these very data.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from held_out import add_options, header, open_people, unit
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.metrics.bootstrap import DRAWS, paired_difference
from ostiary.metrics.verification_measure import Measure, curve_statistic
from ostiary.metrics.verification_trials import Comparisons
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.reports.markdown import table
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.run import TrainedPersonal
from ostiary.training.personal.sampling import pictures_of
from ostiary.training.personal.task import Generator, Rival, judge

FMR = {"1e-2": 1e-2}
RATES = {"eer": "EER %", "fnmr_at_fmr:1e-2": "FNMR % at an FMR of 1e-2"}
TEMPLATES = 64
"""Judged together: layers that are personal take memory for each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--photos", default="1,3,5", help="numbers of enrolment photos; the first is the yardstick"
    )
    parser.add_argument("--probes", type=int, default=5, help="of each person in a round, at most")
    parser.add_argument("--rounds", type=int, default=20, help="draws of enrolment photos")
    options = parser.parse_args()
    photos = numbers(options.photos)
    people = open_people(options)
    found = measure(people.model, people.judged, photos, options.probes, options.rounds, options.seed)
    said = header(people, options)
    print(f"{said['model']}, backbone {said['backbone']}; {found['people']} {said['people']}, all with "
          f"{photos[-1] + 1} pictures or more. {options.rounds} rounds, seed {options.seed}; 95 % intervals and "
          "paired differences by bootstrap over people.\n")  # fmt: skip
    for system in SYSTEMS:
        print(f"{page(found[system], system)}\n")
    if options.json:
        options.json.write_text(json.dumps({"header": said, **found}, indent=1) + "\n")


def numbers(text: str) -> list[int]:
    """``1,3,5`` -> [1, 3, 5]."""
    found = sorted({int(part) for part in text.split(",") if part.strip().isdecimal()})
    if len(found) != len(text.split(",")) or not found or found[0] < 1:
        raise ConfigurationError(f"--photos {text!r} is no list of different numbers of photos, such as 1,3,5.")
    return found


def measure(
    model: TrainedPersonal, faces: Enrollable, photos: Sequence[int], probes: int, rounds: int, seed: int
) -> dict[str, Any]:
    """Rates by system and way of enrolling, and their differences from the first number of photos.

    Raises:
        DataIndexError: fewer than two people have enough pictures.

    """
    own_pictures = [
        apart_from_copies(own, faces.embeddings, model.recipe.sampling.copies) for own in pictures_of(faces.people)
    ]
    able = [own for own in own_pictures if len(own) > photos[-1]]
    if len(able) < 2:
        raise DataIndexError(
            f"Only {len(able)} people have more than {photos[-1]} pictures, so that nobody can be compared: give "
            "more people, or fewer photos."
        )
    values: dict[str, dict[str, list[NDArray[np.float64]]]] = {system: {} for system in SYSTEMS}
    persons: list[NDArray[np.int64]] = []
    for enrolled, shown, owner in drawn(able, photos[-1], probes, rounds, seed):
        persons.append(np.stack(np.meshgrid(np.arange(len(able)), owner, indexing="ij"), -1).reshape(-1, 2))
        made = ways(faces.embeddings, enrolled, photos)
        rows = np.concatenate([templates.reshape(-1, templates.shape[-1]) for templates in made.values()])
        ends = np.cumsum([templates.shape[0] * templates.shape[1] for templates in made.values()])
        for system, judged in SYSTEMS.items():
            parts = np.split(judged(model, faces, shown, rows), ends[:-1])
            for (name, templates), part in zip(made.items(), parts, strict=True):
                best = part.reshape(*templates.shape[:2], -1).max(1)
                values[system].setdefault(name, []).append(best.ravel())
    everybody = np.concatenate(persons)
    found: dict[str, Any] = {"people": len(able), "rounds": rounds, "comparisons": len(everybody)}
    for system, by_way in values.items():
        compared = {name: comparisons(np.concatenate(parts), everybody) for name, parts in by_way.items()}
        found[system] = rates(compared, seed)
    return found


def apart_from_copies(
    pictures: NDArray[np.int64], embeddings: NDArray[np.float32], copies: float
) -> NDArray[np.int64]:
    """Some pictures of one person, no two of which have a cosine of ``copies`` or more."""
    kept: list[int] = []
    for picture in pictures.tolist():
        if not kept or (embeddings[kept] @ embeddings[picture]).max() < copies:
            kept.append(picture)
    return np.array(kept, np.int64)


def drawn(
    able: Sequence[NDArray[np.int64]], photos: int, probes: int, rounds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """For each round: enrolment pictures (people, photos), probes (N,), and whom each probe shows (N,)."""
    for turn in range(rounds):
        random = np.random.default_rng([seed, turn])
        shuffled = [random.permutation(own) for own in able]
        shown = [own[photos : photos + probes] for own in shuffled]
        owner = np.repeat(np.arange(len(able)), [len(own) for own in shown])
        yield np.stack([own[:photos] for own in shuffled]), np.concatenate(shown), owner


def ways(
    embeddings: NDArray[np.float32], enrolled: NDArray[np.int64], photos: Sequence[int]
) -> dict[str, NDArray[np.float32]]:
    """By way of enrolling, the embeddings that templates are made of, (people, templates, D)."""
    of_all = embeddings[enrolled]
    found = {}
    for count in photos:
        first = of_all[:, :count]
        name = "1 photo" if count == 1 else f"{count} photos, mean"
        found[name] = unit(first.mean(1, keepdims=True))
        if count > 1:
            found[f"{count} photos, highest"] = first
    return found


def by_networks(
    model: TrainedPersonal, faces: Enrollable, shown: NDArray[np.int64], rows: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Logits (templates, probes) of the verifiers made of embeddings (templates, D)."""
    network = Generator(model.network) if isinstance(model.network, Hypernetwork) else Rival(model.network)
    parts = []
    for begin in range(0, len(rows), TEMPLATES):
        some = rows[begin : begin + TEMPLATES]
        enrolled = Enrollable(faces.portraits, faces.people, some)
        places = np.arange(len(some))
        parts.append(judge(network.eval(), enrolled, places, shown, model.recipe.shape, torch.device("cpu")))
    return np.concatenate(parts)


def by_cosine(
    model: TrainedPersonal, faces: Enrollable, shown: NDArray[np.int64], rows: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The backbone's cosines, in the same form."""
    return (rows @ faces.embeddings[shown].T).astype(np.float64)


SYSTEMS = {"personal verifier": by_networks, "backbone's cosine": by_cosine}


def comparisons(values: NDArray[np.float64], persons: NDArray[np.int64]) -> Comparisons:
    """Everybody (row 0 of a pair) with every probe's person (row 1); only the order of the values matters here."""
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    people = persons.astype(np.intp)
    nothing = np.full(len(values), "", np.str_)
    return Comparisons(ranks / max(1.0, ranks.max()), people[:, 0] == people[:, 1], None, people, nothing)


def rates(compared: Mapping[str, Comparisons], seed: int) -> dict[str, Any]:
    """By way of enrolling: each rate with its interval, and its difference from that of the first way."""
    found: dict[str, Any] = {}
    statistics = {name: one.resampled([curve_statistic(one, FMR)]) for name, one in compared.items()}
    first = next(iter(compared))
    for name, one in compared.items():
        measured = Measure.of(one, [curve_statistic(one, FMR)], draws=DRAWS, seed=seed, level=0.95)
        apart = (
            {}
            if name == first
            else paired_difference(
                statistics[first], statistics[name], one.units, width=len(one), draws=DRAWS, seed=seed
            )
        )
        found[name] = {}
        for rate in RATES:
            read = measured.derived(rate)
            assert read is not None, "both classes are there"
            found[name][rate] = {"value": read.value, "interval": [read.interval.low, read.interval.high]}
            if rate in apart:
                found[name][rate]["difference"] = apart[rate].value
                found[name][rate]["difference_interval"] = [apart[rate].low, apart[rate].high]
    return found


def page(found: Mapping[str, Any], system: str) -> str:
    """The rates of one system as Markdown."""
    first = next(iter(found))
    head = [system, *(cell for name in RATES.values() for cell in (name, f"less that of '{first}'"))]
    return table(head, [[name, *rate_cells(by_rate)] for name, by_rate in found.items()])


def rate_cells(by_rate: Mapping[str, Any]) -> list[str]:
    """Each rate, and what it is less that of the first row."""
    cells = []
    for one in (by_rate[rate] for rate in RATES):
        cells.append(shown_rate(one["value"], one["interval"]))
        cells.append(shown_rate(one["difference"], one["difference_interval"]) if "difference" in one else "-")
    return cells


def shown_rate(value: float, interval: Sequence[float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


if __name__ == "__main__":
    main()
