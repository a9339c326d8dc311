"""Matching by networks of people's own: each template answers whether a crop shows its person.

Such a template is generated from the embeddings of photos. That takes an embedder and a generator, at enrolment
alone: a gate whose people were enrolled elsewhere needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.crops import aligned_crop
from ostiary.gate.calibration import Calibration, model_hashes
from ostiary.gate.enrolments import TemplateKind
from ostiary.gate.matching import Likenesses, Shot
from ostiary.runtime.foreign import open_embedding
from ostiary.runtime.generator import Generator
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.template import Template


class MakesTemplates(Protocol):
    """A generator of personal networks."""

    def __call__(self, shots: Sequence[Shot]) -> Template:
        """The template of one person, from one or more shots."""


class PersonalEnrolment:
    """Shots of one person to their template, by way of embeddings. Safe to share between threads.

    Args:
        weights: of the face embedding that the generator was made for: a file, a name, or None for the default.
        generator: a generator's file, the name of a packaged one, or None for the default.
        threads: CPU threads of either network.

    Raises:
        ConfigurationError: the generator was made for another file of weights.
        WeightsError: weights cannot be used.

    """

    def __init__(
        self, weights: Path | str | None = None, generator: Path | str | None = None, *, threads: int = 1
    ) -> None:
        self._embedder = open_embedding(weights, threads=threads)
        self.generator = Generator(generator, threads=threads)
        made_for, path = self.generator.metadata, self._embedder.path
        if model_hashes(path, self._embedder.preprocess).model != made_for.backbone_sha256:
            raise ConfigurationError(
                f"{self.generator.path.name} makes networks of the embeddings of {made_for.backbone} "
                f"({made_for.backbone_sha256[:12]}), and {path.name} is another file: name those weights, or "
                "export a generator for these."
            )

    def __repr__(self) -> str:
        return f"PersonalEnrolment({self.generator!r})"

    def __call__(self, shots: Sequence[Shot]) -> Template:
        """The template of the mean of the shots' embeddings.

        Raises:
            InputError: a face has no landmarks that could be aligned.
            WeightsError: a network gives no numbers.

        """
        preprocess = self._embedder.preprocess
        crops = np.stack([aligned_crop(shot.pixels, shot.face.landmarks, preprocess) for shot in shots])
        return self.generator.template(self._embedder.embed(crops))


class PersonalMatcher:
    """Asks each person's own network. Safe to share between threads if the generator is.

    ``generator`` is what new templates call theirs, in hex; None where this is not known.

    Args:
        weights: a verifier's file, the name of a packaged one, or None for the default.
        generate: makes templates at enrolment, as :class:`PersonalEnrolment`; None where people are enrolled
            elsewhere.
        calibration: one threshold for everybody; None, or without one of matching, for that of each template.
        threads: CPU threads of the networks.
        keep: sessions kept, see :class:`ostiary.runtime.personal.PersonalVerifier`.

    Raises:
        ConfigurationError: the calibration is of another model, or the generator of another verifier.
        WeightsError: the weights cannot be used.

    """

    kind: TemplateKind = "personal"

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        generate: MakesTemplates | None = None,
        calibration: Calibration | None = None,
        threads: int = 1,
        keep: int = 64,
    ) -> None:
        self._verifier, self._generate = PersonalVerifier(weights, threads=threads, keep=keep), generate
        hashes = model_hashes(self._verifier.path, self._verifier.preprocess)
        self.model, self.preprocess_hash = hashes.model, hashes.preprocess
        fitting = calibration.for_models(matching=hashes) if calibration else None
        own = fitting.matching if fitting else None
        self._threshold = own.value if own else None
        self.false_match_rate = own.false_match_rate if own else None
        self.problems: tuple[str, ...] = ()
        self.generator: str | None = None
        if isinstance(generate, PersonalEnrolment):
            self._check(generate.generator)
            self.generator = generate.generator.metadata.generator
            recorded = generate.generator.metadata.threshold
            if own is None and recorded is not None:
                self.false_match_rate = recorded.rate

    def __repr__(self) -> str:
        return f"PersonalMatcher({self._verifier!r})"

    def probe(self, shot: Shot) -> NDArray[np.uint8]:
        """The aligned crop (S, S, 3).

        Raises:
            InputError: the face has no landmarks that could be aligned.

        """
        return aligned_crop(shot.pixels, shot.face.landmarks, self._verifier.preprocess)

    def template(self, shots: Sequence[Shot]) -> bytes:
        """What the generator makes of the shots.

        Raises:
            ConfigurationError: there is no generator.

        """
        if self._generate is None:
            raise ConfigurationError(
                "This gate judges by personal networks and cannot make them: give the matcher a generator, or "
                "enrol where there is one."
            )
        return self._generate(shots).to_bytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> PersonalPeople:
        """Read the templates; of several of one person the one that answers most clearly counts.

        Raises:
            WeightsError: a template is damaged, or of another architecture.

        """
        read = [Template.from_bytes(template, "An enrolled template") for own in templates for template in own]
        owners = [index for index, own in enumerate(templates) for _ in own]
        return PersonalPeople(self._verifier, read, owners, len(templates), self._threshold)

    def _check(self, generator: Generator) -> None:
        """Refuse a generator of another verifier, and say if what it makes will know nobody."""
        made, own = generator.metadata.architecture, self._verifier.metadata.architecture
        if made != own:
            raise ConfigurationError(
                f"{generator.path.name} makes verifiers {made}, and {self._verifier.path.name} runs {own}: name "
                "files of one verifier."
            )
        if generator.threshold is None and self._threshold is None:
            self.problems = (
                f"{generator.path.name} records no threshold for matching: whoever is enrolled with it will not "
                "be recognised; export it again with people to choose one on.",
            )


class PersonalPeople:
    """Networks of people, one or more a person."""

    def __init__(
        self,
        verifier: PersonalVerifier,
        templates: Sequence[Template],
        owners: Sequence[int],
        count: int,
        threshold: float | None,
    ) -> None:
        self._verifier, self._templates, self._owners, self._count = verifier, templates, owners, count
        own = [threshold if threshold is not None else template.threshold for template in templates]
        self._thresholds = np.array([np.nan if value is None else value for value in own], np.float64)

    def __repr__(self) -> str:
        return f"PersonalPeople({self._count})"

    def compare(self, probe: NDArray[np.generic]) -> Likenesses:
        """Similarities of a crop uint8 (S, S, 3)."""
        found = Likenesses(np.full(self._count, np.nan), np.full(self._count, np.nan))
        answers = self._verifier.similarity(probe.astype(np.uint8)[None], self._templates)[:, 0]
        clearest = np.full(self._count, -np.inf)
        for owner, answer, threshold in zip(self._owners, answers, self._thresholds, strict=True):
            margin = -1.0 if np.isnan(threshold) else answer - threshold
            if margin > clearest[owner]:
                clearest[owner] = margin
                found.similarities[owner], found.thresholds[owner] = answer, threshold
        return found
