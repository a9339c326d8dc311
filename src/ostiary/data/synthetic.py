"""A liveness data set out of nothing: drawn people, with prints and screens of them.

For tests, and for a first run without any data. It resembles the real problem in kind (texture, borders and
light tell; colour and position do not) and not in difficulty: figures on it say nothing about real attacks.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.data.index import Index, Sample, Split
from ostiary.data.synthetic_attacks import MAKERS, attack
from ostiary.data.synthetic_face import Points, draw_face, draw_person, draw_shot
from ostiary.data.synthetic_scene import photograph
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

NAME = "synthetic"
SPLITS_IN_TURN: tuple[Split, ...] = ("train", "development", "test", "train", "train")
SPECIES = tuple(MAKERS)
_SMALLEST = 48  # below this, dots and pixels of the instruments cannot be drawn


def synthesize(
    out: Path,
    *,
    subjects: int = 30,
    per_subject: int = 4,
    seed: int = 0,
    size: int = 160,
    form: Literal["tar", "folder"] = "tar",
) -> Index:
    """Write ``out/synthetic.csv`` with ``out/synthetic.tar``, or with the pictures in ``out/synthetic/``.

    Each subject has ``per_subject`` bona fide pictures and as many attacks, the species in turn; pictures are
    ``size`` pixels square, WebP. The same arguments give the same pictures. Returns the index.
    """
    samples = []
    out.mkdir(parents=True, exist_ok=True)
    pictures = generate(subjects=subjects, per_subject=per_subject, seed=seed, size=size)
    if form == "tar":
        with tarfile.open(out / f"{NAME}.tar", "w") as archive:
            for sample, image in pictures:
                encoded = _webp(image)
                member = tarfile.TarInfo(sample.path)
                member.size = len(encoded)
                archive.addfile(member, io.BytesIO(encoded))
                samples.append(sample)
    else:
        for sample, image in pictures:
            path = out / sample.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_webp(image))
            samples.append(sample)
    index = Index(samples)
    index.write_csv(out / f"{NAME}.csv")
    return index


def generate(
    *, subjects: int = 30, per_subject: int = 4, seed: int = 0, size: int = 160
) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
    """The same pictures one by one, in memory, RGB uint8 (size, size, 3), before any compression.

    Every picture depends on the seed, its subject and its number alone: a larger set begins with the smaller.
    """
    if subjects < 3 or per_subject < 1 or size < _SMALLEST or seed < 0:
        raise DataIndexError(
            f"cannot draw {subjects} subjects with {per_subject} pictures of {size} pixels, seed {seed}: it "
            f"takes 3 subjects (one a split), 1 picture, {_SMALLEST} pixels and a seed from 0 on."
        )
    for subject in range(subjects):
        person = draw_person(np.random.default_rng((seed, subject)))
        for number in range(per_subject):
            for species in ("", SPECIES[(subject + number) % len(SPECIES)]):
                rng = np.random.default_rng((seed, subject, number, bool(species)))
                shot = draw_shot(rng)
                if species:
                    scene, outline = attack(person, shot, species, size, rng)
                else:
                    scene, outline = draw_face(person, shot, size)
                yield _sample(subject, number, species, outline, size), photograph(scene, rng)


def _sample(subject: int, number: int, species: str, outline: Points, size: int) -> Sample:
    split = SPLITS_IN_TURN[subject % len(SPLITS_IN_TURN)]
    name = f"s{subject:03d}"
    capture = f"{name}_{species or 'bona_fide'}_{number:02d}"
    left, top = np.clip(outline.min(axis=0), 0, size)
    right, bottom = np.clip(outline.max(axis=0), 0, size)
    return Sample(
        path=f"{NAME}/{split}/{capture}.webp",
        label="attack" if species else "bona_fide",
        species=species,
        subject=name,
        split=split,
        dataset=NAME,
        capture=capture,
        box=Box(*(round(float(value), 1) for value in (left, top, right - left, bottom - top))),
    )


def _webp(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=92, method=4)
    return buffer.getvalue()
