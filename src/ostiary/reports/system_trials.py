"""Whom a door should know, and what is then held before it: the list that a system evaluation runs through.

A CSV with a header, one line a picture::

    role,subject,image,species,dataset
    enrol,ann,ann/monday_0.jpg,,door
    bona_fide,ann,ann/tuesday_3.jpg,,door
    attack,ann,ann/phone_1.jpg,replay_phone,door

The subject of an attack is the person whom it shows: a door that is to be fooled must be told the face of somebody
it knows. Of a person, no picture of the recording that was enrolled is probed with.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ostiary.data.index import UNSPECIFIED, Index, Sample
from ostiary.data.table import Table, one_of, read_rows, write_rows
from ostiary.errors import DataIndexError
from ostiary.metrics.system import Kind

Role = Literal["enrol", "bona_fide", "attack"]

ROLES: tuple[Role, ...] = get_args(Role)
COLUMNS = ("role", "subject", "image", "species", "dataset")
REQUIRED = ("role", "subject", "image")

ENROLLED = 3
IMPOSTORS = 2


class Person(NamedTuple):
    """A subject of a data set; the same name in two sets is two people."""

    dataset: str
    subject: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.subject}"


@dataclass(frozen=True, slots=True)
class ListedPicture:
    """A line of the list. ``dataset`` may name a camera or a site; impostors are taken from the same."""

    role: Role
    subject: str
    image: str
    species: str = ""
    dataset: str = ""

    @property
    def person(self) -> Person:
        """Who is seen, or shown."""
        return Person(self.dataset, self.subject)


class Attempt(NamedTuple):
    """One transaction: a picture of ``presented`` before the enrolment of ``enrolled``."""

    kind: Kind
    enrolled: Person
    presented: Person
    image: str
    species: str


class TrialList(Table[ListedPicture]):
    """An immutable sequence of listed pictures, and the attempts that follow from it."""

    @property
    def enrolment(self) -> dict[Person, tuple[str, ...]]:
        """The pictures that each person is enrolled with, in the order of the list."""
        found: dict[Person, list[str]] = defaultdict(list)
        for row in self:
            if row.role == "enrol":
                found[row.person].append(row.image)
        return {person: tuple(images) for person, images in found.items()}

    @property
    def images(self) -> tuple[str, ...]:
        """Every picture, each once, in the order of the list."""
        return tuple(dict.fromkeys(row.image for row in self))

    @property
    def not_enrolled(self) -> int:
        """Attacks that show nobody who is enrolled: they try nothing, and are not run."""
        known = self.enrolment
        return sum(row.role == "attack" and row.person not in known for row in self)

    def attempts(self, impostors: int = IMPOSTORS) -> Iterator[Attempt]:
        """All attempts, person by person.

        Each enrolled person is tried with every bona fide picture of himself, with every attack that shows him,
        and with ``impostors`` bona fide pictures of every other person of the data set, other pictures each time.
        """
        probes: dict[Person, list[str]] = defaultdict(list)
        attacks: dict[Person, list[ListedPicture]] = defaultdict(list)
        for row in self:
            if row.role == "bona_fide":
                probes[row.person].append(row.image)
            elif row.role == "attack":
                attacks[row.person].append(row)
        for place, person in enumerate(self.enrolment):
            for image in probes.get(person, ()):
                yield Attempt("mated", person, person, image, "")
            for other, images in probes.items():
                if other != person and other.dataset == person.dataset:
                    for image in _turn(images, impostors, place):
                        yield Attempt("non_mated", person, other, image, "")
            for row in attacks.get(person, ()):
                yield Attempt("attack", person, person, row.image, row.species)

    @classmethod
    def read_csv(cls, path: Path) -> TrialList:
        """Read a list.

        Raises:
            DataIndexError: names file and line and what is wrong, or nobody is enrolled.

        """
        optional = [name for name in COLUMNS if name not in REQUIRED]
        found = cls(read_rows(path, _listed, REQUIRED, what="pictures", optional=optional))
        if not found.enrolment:
            raise DataIndexError(f"{path}: nobody is enrolled; give lines with the role enrol.")
        enrolled = {image for images in found.enrolment.values() for image in images}
        twice = [row.image for row in found if row.role != "enrol" and row.image in enrolled]
        if twice:
            raise DataIndexError(
                f"{path}: {twice[0]!r} is enrolled and also presented ({len(twice)} such lines): it would know "
                "itself; present other pictures."
            )
        return found

    def write_csv(self, path: Path) -> None:
        """Write the list in the form that ``read_csv`` reads."""
        write_rows(path, COLUMNS, ((r.role, r.subject, r.image, r.species, r.dataset) for r in self))


class BuiltList(NamedTuple):
    """A list made of an index, and how many of its rows were left out, by reason."""

    trials: TrialList
    left_out: dict[str, int]


def build_trials(index: Index, *, enrolled: int = ENROLLED) -> BuiltList:
    """A list from liveness data whose attacks show known people.

    Each person with at least two bona fide recordings is enrolled with pictures from the first, spread over it,
    and tried with the others. A person with one recording is only an impostor to the others. A sample without a
    capture is a recording of its own.

    Args:
        index: samples with subjects.
        enrolled: pictures that a person is enrolled with, at most.

    Raises:
        DataIndexError: nobody can be enrolled.

    """
    recordings: dict[Person, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in index:
        if sample.subject and sample.label == "bona_fide":
            recordings[_person(sample)][sample.capture or sample.path].append(sample)
    rows, first = [], {}
    for person, captures in recordings.items():
        if len(captures) >= 2:
            first[person] = min(captures)
            pictures = sorted(sample.path for sample in captures[first[person]])
            rows += [
                ListedPicture("enrol", person.subject, path, "", person.dataset)
                for path in _spread(pictures, enrolled)
            ]
    if not rows:
        raise DataIndexError(
            "Nobody in the index has two bona fide recordings, one to enrol and one to be known by; take data "
            "with subjects and captures."
        )
    left_out: Counter[str] = Counter()
    for sample in index:
        reason = _left_out(sample, first)
        if reason:
            left_out[reason] += 1
        elif sample.label == "attack" or first.get(_person(sample)) != (sample.capture or sample.path):
            rows.append(ListedPicture(sample.label, sample.subject, sample.path, sample.species, sample.dataset))
    return BuiltList(TrialList(rows), dict(sorted(left_out.items())))


def _left_out(sample: Sample, first: Mapping[Person, str]) -> str:
    if not sample.subject:
        return "no_subject"
    return "attack_on_nobody_enrolled" if sample.label == "attack" and _person(sample) not in first else ""


def _person(sample: Sample) -> Person:
    return Person(sample.dataset, sample.subject)


def _spread(items: Sequence[str], count: int) -> list[str]:
    """At most ``count`` of ``items``, evenly spread, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    if count == 1:
        return [items[0]]
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def _turn(items: Sequence[str], count: int, start: int) -> list[str]:
    """At most ``count`` of ``items``, evenly spread, from a place that moves with ``start``."""
    taken = min(count, len(items))
    return [items[(start + place * len(items) // taken) % len(items)] for place in range(taken)]


def _listed(values: Mapping[str, str]) -> ListedPicture:
    role = one_of("role", values["role"], ROLES)
    for name in ("subject", "image"):
        if not values[name]:
            raise ValueError(f"the {name} is empty; every line must say who is seen in which picture")
    if values["species"] and role != "attack":
        raise ValueError(f"species {values['species']!r} given for {role}; leave it empty or say attack")
    species = values["species"] or (UNSPECIFIED if role == "attack" else "")
    return ListedPicture(role, values["subject"], values["image"], species, values["dataset"])
