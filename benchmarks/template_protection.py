"""What re-issued templates protect and what they do not (ISO/IEC 24745: renewable, unlinkable, revocable).

    python benchmarks/template_protection.py --model model.safetensors --index people.csv --images FACES \\
        --backbone teachers/slim_face.npz --cache cache --json protection.json

On people whom the training held out: whether a template issued again has other bytes and the same logits; whether
two issues can be linked, by an attacker who compares numbers as they lie and by one who sorts the channels first;
what a list of revoked fingerprints refuses; and how much of the face embedding a ridge regression reads out of
theta. The last attacker can enrol: theta and embedding of people whom the training learnt from are known.
"""

from __future__ import annotations

import argparse
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from held_out import People, add_options, header, open_people
from linkage import canonical, furthest, linked
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.networks.verifier import verifier
from ostiary.reports.markdown import table
from ostiary.runtime.reissue import reissued
from ostiary.runtime.template import PRECISIONS, Precision, Template
from ostiary.training.personal.batches import sized
from ostiary.training.personal.sampling import pictures_of
from recovery import one_picture_each, recovery

Thetas = NDArray[np.float32]
Enrol = Callable[[NDArray[np.float32]], list[Template]]

AS_THEY_LIE, SORTED = "number by number", "sorts the channels first"
PROBES = 16
"""Pictures for which logits are compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--precision", default="int8", help="of the templates: fp32, fp16 or int8")
    parser.add_argument("--octaves", type=int, default=0, help="scales of a re-issue, see ostiary.runtime.reissue")
    parser.add_argument("--rounds", type=int, default=5, help="re-issues of each person that are compared")
    parser.add_argument("--learnt", type=int, default=2000, help="people whom the regression learns from, at most")
    options = parser.parse_args()
    if options.precision not in PRECISIONS:
        raise ConfigurationError(
            f"There is no precision {options.precision!r}; choose one of: {', '.join(PRECISIONS)}."
        )
    people = open_people(options)
    kind = {name: getattr(options, name) for name in ("precision", "octaves", "rounds", "learnt")}
    found = measure(people, **kind, seed=options.seed)
    said = {**header(people, options), **kind}
    print(page({"header": said, **found}))
    if options.json:
        options.json.write_text(json.dumps({"header": said, **found}, indent=1) + "\n")


def measure(
    people: People, *, precision: Precision, octaves: int, rounds: int, learnt: int, seed: int
) -> dict[str, Any]:
    """All four parts.

    Raises:
        DataIndexError: fewer than two people have two pictures, or too few were learnt from.

    """
    pictures = pictures_of(people.judged.people)
    if len(pictures) < 2:
        raise DataIndexError(f"Only {len(pictures)} people have two pictures: nobody can be linked; give more.")
    enrol, faces = enrolment(people, precision), people.judged
    own, other = (np.array([of_person[place] for of_person in pictures]) for place in (0, 1))
    templates, again = enrol(faces.embeddings[own]), enrol(faces.embeddings[other])
    first, second, photo = (
        [issued(made, octaves, [seed, part, turn]) for turn in range(rounds)]
        for part, made in enumerate((templates, templates, again))
    )
    known = one_picture_each(people.learnt, learnt, seed)
    targets = people.learnt.embeddings[known]
    made = enrol(targets)
    remade = issued(made, octaves, [seed, 3])
    cases = {
        "not re-issued": (thetas_of(made), thetas_of(templates)),
        "re-issued, numbers as they lie": (thetas_of(remade), thetas_of(first[0])),
        "re-issued, channels sorted": (sorted_thetas(remade), sorted_thetas(first[0])),
    }
    return {
        "people": len(pictures),
        "renewal": renewal(templates, [first[0], second[0]], inputs_of(people, other[:PROBES])),
        "linking": linking(templates, first, second, photo, seed),
        "revocation": revocation(first[0], second[0]),
        "learnt_from": len(known),
        "recovery": recovery(cases, targets, faces.embeddings[own], faces.embeddings[other], seed),
    }


def enrolment(people: People, precision: Precision) -> Enrol:
    """Embeddings (M, D) -> templates as they are stored, without a re-issue."""
    name = people.model.recipe.architecture

    def enrolled(embeddings: NDArray[np.float32]) -> list[Template]:
        with torch.inference_mode():
            thetas = people.model.network.theta(torch.from_numpy(embeddings)).numpy()
        return [Template(theta, name, bytes(16), precision).at(precision) for theta in thetas]

    return enrolled


def issued(templates: Sequence[Template], octaves: int, seed: Sequence[int]) -> list[Template]:
    """Each of them re-issued, stored and read again."""
    seeds = np.random.SeedSequence(seed).generate_state(len(templates), np.uint64).tolist()
    return [
        Template.from_bytes(reissued(template, each, octaves=octaves).to_bytes())
        for template, each in zip(templates, seeds, strict=True)
    ]


def inputs_of(people: People, pictures: NDArray[np.int64]) -> NDArray[np.float32]:
    """Inputs of the verifier (N, 3, S, S)."""
    shape = people.model.recipe.shape
    return shape.preprocess.normalise(sized(people.judged.portraits.crops(pictures.tolist()), shape.size))


def sorted_thetas(templates: Sequence[Template]) -> Thetas:
    """What whoever sorts the channels makes of them."""
    return np.stack([canonical(template.theta, template.shape) for template in templates])


def thetas_of(templates: Sequence[Template]) -> Thetas:
    return np.stack([template.theta for template in templates])


def renewal(templates: Sequence[Template], issues: Sequence[Sequence[Template]], inputs: Thetas) -> dict[str, Any]:
    """Bytes and logits of issues beside those of the templates that they were made of."""

    def logits(template: Template) -> NDArray[np.float64]:
        with torch.inference_mode():
            judged = verifier(torch.from_numpy(inputs), torch.from_numpy(template.theta), template.shape)
        return judged.double().numpy()

    apart, spread, equal = 0.0, [], 0
    for rows in zip(templates, *issues, strict=True):
        equal += len(rows) - len({row.to_bytes() for row in rows})
        judged = np.stack([logits(row) for row in rows])
        apart = max(apart, float(np.abs(judged - judged[0]).max()))
        spread.append(judged[0])
    count = len(issues) * len(templates)
    return {
        "reissued": count,
        "equal_bytes": equal,
        "largest_logit_difference": apart,
        "logits_deviation": float(np.std(spread)),
    }  # fmt: skip


def linking(
    templates: Sequence[Template],
    first: Sequence[Sequence[Template]],
    second: Sequence[Sequence[Template]],
    photo: Sequence[Sequence[Template]],
    seed: int,
) -> list[dict[str, Any]]:
    """Every pair of templates by every attacker; one round is enough for the one who sorts."""
    plain = thetas_of(templates)[None]
    lying, lying_second, lying_photo = (np.stack(list(map(thetas_of, of))) for of in (first, second, photo))
    ordered, ordered_second, ordered_photo = (sorted_thetas(of[0])[None] for of in (first, second, photo))
    rows = (
        ("not re-issued: one template twice", AS_THEY_LIE, plain, plain),
        ("two re-issues of one photo", AS_THEY_LIE, lying, lying_second),
        ("two re-issues of one photo", SORTED, ordered, ordered_second),
        ("re-issues of two photos", AS_THEY_LIE, lying, lying_photo),
        ("re-issues of two photos", SORTED, ordered, ordered_photo),
    )
    return [
        {"templates": what, "attacker": attacker, **linked(one, other, templates[0].shape, seed)}
        for what, attacker, one, other in rows
    ]


def revocation(old: Sequence[Template], new: Sequence[Template]) -> dict[str, int]:
    """What a list of the fingerprints of old issues refuses."""
    revoked = {template.fingerprint() for template in old}
    return {
        "revoked": len(revoked),
        "refused": sum(template.fingerprint() in revoked for template in old),
        "new_ones_refused": sum(template.fingerprint() in revoked for template in new),
        "forged_that_pass": sum(forgery(template).fingerprint() not in revoked for template in old),
    }


def forgery(template: Template) -> Template:
    """The same template with the last bit of its last bias turned over and a checksum that fits."""
    content = bytearray(template.to_bytes())
    content[-4] ^= 1
    content[60:64] = bytes(4)
    content[60:64] = struct.pack("<I", zlib.crc32(bytes(content)))
    return Template.from_bytes(bytes(content))


def page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    head, renewed, revoked = report["header"], report["renewal"], report["revocation"]
    parts = [
        f"{head['model']}, backbone {head['backbone']}; templates in {head['precision']}, {head['octaves']} "
        f"octaves, {head['rounds']} re-issues of each to compare; {report['people']} {head['people']}, seed "
        f"{head['seed']}. 95 % intervals by bootstrap over people.",
        f"**Renewal.** {renewed['reissued']} re-issues: {renewed['equal_bytes']} of them have bytes that another "
        f"template of the same person has. The largest difference of a logit is "
        f"{renewed['largest_logit_difference']:.2g}, where logits have a deviation of "
        f"{renewed['logits_deviation']:.2g}.",
        "**Linking.** AUC of telling two templates of one person from those of two: 0.5 is a guess. D_sys in the "
        "same sense is 0 for a guess and 1 for certainty; beside it what labels dealt at random give. Of the many "
        "layers some are far from 0.5 by chance.",
        table(
            ("templates", "attacker", "AUC", "D_sys (by chance)", "layer furthest from 0.5"),
            [_link_row(row) for row in report["linking"]],
        ),
        "Whoever sorts the channels has undone the re-issue: it is no protection from anybody who knows how it is "
        "made.",
        f"**Revocation.** What there is: a list of fingerprints. Of {revoked['revoked']} revoked templates it "
        f"refuses {revoked['refused']}, and {revoked['new_ones_refused']} of as many issued anew. It does not "
        "refuse a revoked one in which a bit was changed and the checksum repaired: "
        f"{revoked['forged_that_pass']} of {revoked['revoked']} pass. So templates must be kept in authenticated "
        "encryption. A revoked template goes on judging its person in the hands of whoever has a copy.",
        f"**Recovery.** Embeddings read out of theta by a ridge regression that learnt from "
        f"{report['learnt_from']} people of the training. Rank 1: it finds its person among all "
        f"{report['people']}.",
        table(
            ("read from", "mean cosine with the embedding", "rank 1 %, same photo", "rank 1 %, another photo"),
            [_read_row(name, row) for name, row in report["recovery"].items()],
        ),
        "A template holds the embedding as far as these figures say; protect it like one.",
    ]
    return "\n\n".join(parts)


def _link_row(row: dict[str, Any]) -> tuple[str, ...]:
    whole = row["theta"]
    name, layer = furthest(row)
    return (
        row["templates"], row["attacker"], _auc(whole),
        f"{whole['linkability']:.2f} ({whole['linkability_by_chance']:.2f})", f"{name} {_auc(layer)}",
    )  # fmt: skip


def _auc(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['auc']:.3f} ({low:.3f} to {high:.3f})"


def _read_row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    cosine, *ranks = row.values()
    low, high = cosine["interval"]
    cells = [f"{cosine['value']:.3f} ({low:.3f} to {high:.3f})"]
    for rank in ranks:
        low, high = rank["interval"]
        cells.append(f"{100 * rank['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})")
    return name, *cells


if __name__ == "__main__":
    main()
