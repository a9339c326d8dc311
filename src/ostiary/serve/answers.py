"""What the server answers, as the OpenAPI page describes it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from ostiary.gate.calibration import Operating
from ostiary.gate.decision import Decision
from ostiary.serve.auth import Caller, Right, Role
from ostiary.serve.door import Look
from ostiary.serve.thresholds import Origin
from ostiary.serve.words import decided, looked

# Lists of a length, not tuples: many readers of OpenAPI know no ``prefixItems``.
Box = Annotated[list[float], Field(min_length=4, max_length=4)]
Size = Annotated[list[int], Field(min_length=2, max_length=2)]


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="One sentence: what is wrong, and what to do.")


class DecisionAnswer(BaseModel):
    """A decision of the gate. Only ``accepted`` opens a door."""

    accepted: bool
    reason: str
    sentence: str = Field(description="For whoever stands at the door.")
    handle: str | None = Field(description="Who was accepted; of a refusal who was claimed.")
    configuration: str
    time: str
    outcomes: dict[str, str] = Field(description="What became of each stage.")
    milliseconds: dict[str, float] = Field(description="How long each stage took.")
    faces: int
    frames: int
    causes: list[str] = Field(description="All that is wrong with the picture, the most helpful first.")
    box: Box | None = Field(description="Of the face: x, y, width and height in pixels.")
    retry_s: float | None = Field(description="Seconds until the lock-out ends.")
    problem: str | None = Field(description="What broke; for administrators.")
    liveness: float | None = Field(default=None, description="For administrators who ask for measurements.")
    similarity: float | None = Field(default=None, description="For administrators who ask for measurements.")

    @classmethod
    def of(cls, decision: Decision, caller: Caller, *, measurements: bool) -> DecisionAnswer:
        """A decision for a caller: what broke, and what was measured, is for administrators alone."""
        trusted = caller.may("people")
        plain = decision.to_dict(measurements=measurements and trusted)
        if not trusted:
            plain["problem"] = None
        return cls(**plain, sentence=decided(decision))


class LookAnswer(BaseModel):
    """How a picture looks."""

    fit: bool = Field(description="Whether the face can be judged.")
    accepted: bool | None = Field(description="Whether it passed as a living person; null if that was not asked.")
    reason: str
    sentence: str
    causes: list[str]
    faces: int
    box: Box | None = Field(description="Of the largest face: x, y, width and height in pixels.")
    size: Size = Field(description="Width and height of the picture.")
    quality: dict[str, float | None] | None = Field(description="What was measured of the face, in plain units.")
    configuration: str
    milliseconds: float
    liveness: float | None = Field(default=None, description="For administrators who ask for measurements.")

    @classmethod
    def of(cls, look: Look, caller: Caller, *, measurements: bool) -> LookAnswer:
        """A look for a caller."""
        return cls(
            fit=look.fit,
            accepted=look.alive,
            reason=look.reason,
            sentence=looked(look),
            causes=list(look.causes),
            faces=look.faces,
            box=None if look.box is None else _box(look.box),
            size=list(look.size),
            quality=None if look.quality is None else look.quality.to_dict(),
            configuration=look.configuration,
            milliseconds=round(look.milliseconds, 3),
            liveness=look.liveness if measurements and caller.may("people") else None,
        )


class PhotoAnswer(BaseModel):
    """One photo of an enrolment."""

    accepted: bool
    reason: str
    causes: list[str]


class EnrolmentAnswer(BaseModel):
    """What came of an enrolment; nothing was stored unless ``enrolled`` is true."""

    enrolled: bool
    user: str
    reason: str
    sentence: str
    photos: list[PhotoAnswer]
    other: str | None = Field(description="The handle under which this face is enrolled already.")


class UserAnswer(BaseModel):
    """A line of the list of people: dates, nothing biometric."""

    user: str
    enrolled: str | None
    retention: str | None
    expired: bool
    templates: int
    problem: str | None


class TemplateAnswer(BaseModel):
    """What is known of a template, but for the template."""

    kind: str
    added: str
    model_sha256: str
    preprocess_sha256: str


class PersonAnswer(UserAnswer):
    """All that is stored about a person, but for the templates themselves."""

    consent: str | None
    details: list[TemplateAnswer]


class DeletionAnswer(BaseModel):
    """What was deleted, and what may still hold a copy."""

    user: str
    templates: int
    remains: list[str]


class HealthAnswer(BaseModel):
    """Whether the server can decide: ``ok``, ``refuses`` (everybody, for want of a threshold) or ``broken``."""

    status: str
    version: str


class AboutAnswer(BaseModel):
    """What a page needs to know of the door and of its own token."""

    version: str
    door: str
    role: Role
    rights: list[Right]
    frames: int = Field(description="So many photos a presentation must have.")
    most_photos: int
    largest_body: int
    configuration: str
    limits: dict[str, float] | None = Field(description="What a face must have to be judged.")
    problems: list[str] = Field(description="What keeps everybody from being accepted; for administrators.")


class LivenessThreshold(BaseModel):
    """The threshold of a configuration."""

    word: str
    operating: Operating


class ThresholdsAnswer(BaseModel):
    """The thresholds in use, and the error rates that they stand for."""

    configuration: str
    liveness_origin: Origin
    liveness: list[LivenessThreshold]
    matching_origin: Origin
    matching: Operating | None


class ConfigurationAnswer(BaseModel):
    """What a configuration costs here."""

    word: str
    milliseconds: float = Field(description="For one face on this machine; compare them with each other only.")
    macs: int
    parameters: int
    development_error: float | None
    calibrated: bool = Field(description="Whether there is a threshold for it.")
    worthwhile: bool = Field(description="No other is both faster and erred less on development data.")


class ConfigurationsAnswer(BaseModel):
    """The notches of the dial, fastest first."""

    configuration: str
    may_choose: bool
    configurations: list[ConfigurationAnswer]


def _box(box: Any) -> Box:
    return [round(float(value), 1) for value in box]
