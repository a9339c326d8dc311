"""What is installed, and does it work? One finding a line, each with what to do about it.

A *fault* keeps a gate from working, or means that something is not what it should be; a *warning* is something
that a door may need and that is not there. Nothing is repaired here.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ostiary.errors import OstiaryError, WeightsError
from ostiary.gate.self_test import Tried, try_detection, try_liveness
from ostiary.metrics.identification import fpir
from ostiary.runtime.packaged import EMBEDDING, FOLDER, Shelf, describe_packaged, resolve_weights

if TYPE_CHECKING:
    from ostiary.gate.matching import Matcher
    from ostiary.gate.setup import Stages
    from ostiary.gate.vault import Vault

State = Literal["ok", "warning", "fault"]

_ALWAYS = ("numpy", "onnxruntime", "pillow", "pydantic", "rich", "typer")
_EXTRAS: dict[str, tuple[State, str, tuple[str, ...]]] = {
    "gate": (
        "warning",
        "the vault and the log",
        ("cryptography", "filelock", "keyring", "platformdirs", "sqlalchemy"),
    ),
    "camera": ("warning", "cameras, streams and videos", ("av",)),
    "postgresql": ("ok", "one vault for several doors", ("psycopg",)),
    "evaluate": ("ok", "error rates and their tables", ("matplotlib", "scikit-learn", "scipy")),
    "train": ("ok", "training", ("torch", "lightning-fabric", "onnx", "safetensors")),
}
"""By extra: what it means if it is missing, what it is for, and its packages."""

_HIGHEST_FPIR = 0.05
"""Share of strangers taken for somebody above which it is said."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it stands with what, and what to do, empty where nothing is."""

    state: State
    about: str
    said: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


def installed() -> Iterator[Finding]:
    """Versions, and which extras are there."""
    yield Finding("ok", "python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")
    for name in _ALWAYS:
        version = _version(name)
        if version is None:
            yield Finding("fault", name, "is not installed", "pip install ostiary")
        else:
            yield Finding("ok", name, version)
    for extra, (state, purpose, names) in _EXTRAS.items():
        found = {name: _version(name) for name in names}
        missing = [name for name, version in found.items() if version is None]
        if missing:
            said = f"not installed ({', '.join(missing)}); it is for {purpose}"
            yield Finding(state, f"extra {extra}", said, f"pip install 'ostiary[{extra}]'")
        else:
            yield Finding(
                "ok", f"extra {extra}", ", ".join(f"{name} {version}" for name, version in found.items())
            )


def machine() -> Finding:
    """The processor's threads, as far as this process may use them."""
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else there
    return Finding("ok", "processor", f"{usable} of {there} threads may be used; a network here takes one")


def packaged(folder: Path = FOLDER) -> Iterator[Finding]:
    """The weights in the package, whose SHA-256 are checked; and whether there are any for faces."""
    try:
        for record in describe_packaged(folder):
            said = f"{record['task']}, {record['megabytes']} MB, {record['licence']}; its SHA-256 is right"
            yield Finding("ok", f"weights {record['name']}", said)
    except WeightsError as error:
        yield Finding("fault", "weights", str(error))
    try:
        yield Finding("ok", "face weights", str(resolve_weights(None, EMBEDDING)))
    except WeightsError as error:
        yield Finding("warning", "face weights", str(error), "give --weights to the commands of the gate")


def cameras(folder: Path = Path("/dev")) -> Iterator[Finding]:
    """Devices that may be cameras; none is opened."""
    if sys.platform != "linux":
        yield Finding("ok", "cameras", "are not listed on this system", "try one: ostiary doctor --camera 0")
        return
    devices = sorted(folder.glob("video[0-9]*"))
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield Finding("ok", "camera", f"{device} is there", f"try it: ostiary doctor --camera {device}")
        else:
            yield Finding(
                "warning",
                "camera",
                f"{device} may not be opened",
                "add this account to the group video, log in again",
            )
    if not devices:
        yield Finding("warning", "cameras", "none was found", "plug one in, or give the address of a stream")


def camera(source: int | str) -> Finding:
    """One picture of a camera."""
    from contextlib import closing

    from ostiary.gate.sources import frames

    try:
        with closing(frames(source)) as pictures:
            frame = next(pictures, None)
    except OstiaryError as error:
        return Finding("fault", "camera", str(error))
    if frame is None:
        return Finding("fault", "camera", f"{source} gave no picture", "check its cable")
    height, width = frame.pixels.shape[:2]
    return Finding("ok", "camera", f"gave a picture of {width}x{height} pixels")


def self_test(weights: str | None = None) -> Iterator[Finding]:
    """Faces through detection and liveness, against known answers."""
    yield _tried("detection", try_detection)
    yield _tried("liveness", lambda: try_liveness(weights))


def door(load: Callable[[], Stages], weights: str | None = None) -> tuple[Stages | None, list[Finding]]:
    """Whether networks and thresholds fit together, and what a gate would judge by.

    Args:
        load: opens it.
        weights: of the face embedding, if they were named. That the package has none is said elsewhere.

    """
    if weights is None and not _there(EMBEDDING):
        return None, []
    try:
        stages = load()
    except OstiaryError as error:
        return None, [Finding("fault", "gate", str(error))]
    except ModuleNotFoundError as error:
        return None, [Finding("fault", "gate", f"{error.name} is not installed", "pip install 'ostiary[gate]'")]
    problems = (*stages.liveness.problems, *stages.matcher.problems)
    if problems:
        return stages, [Finding("fault", "gate", problem) for problem in problems]
    said = f"liveness ({stages.liveness.configuration}) and matching have thresholds"
    return stages, [Finding("ok", "gate", said)]


def vault(opened: Vault, matcher: Matcher | None = None) -> Iterator[Finding]:
    """Whether a vault is whole, whether everybody in it can be recognised, and whether they are too many.

    Args:
        opened: the vault.
        matcher: that of the door; None where it is not known.

    """
    problems = opened.check()
    for problem in problems:
        yield Finding("fault", "vault", problem)
    listed = opened.list()
    if not problems:
        yield Finding("ok", "vault", f"{opened.name} is whole; people enrolled: {len(listed)}")
    expired = [one.user for one in listed if one.expired]
    if expired:
        yield Finding(
            "warning", "vault", f"enrolments that are over: {len(expired)}", "ostiary users purge, or renew them"
        )
    if matcher is not None:
        people = opened.open_all().people
        others = sum(all(one.model != matcher.model for one in person.templates) for person in people)
        if others:
            said = f"{others} of {len(people)} people were enrolled with another model and are not recognised"
            yield Finding("warning", "vault", said, "renew them: ostiary enrol --renew")
        yield from _strangers(matcher, len(people) - others)


def _strangers(matcher: Matcher, people: int) -> Iterator[Finding]:
    """Where a face is looked for among many: whether strangers would too often be taken for somebody."""
    if matcher.false_match_rate is None or not people:
        return
    rate = fpir(matcher.false_match_rate, people)
    if rate > _HIGHEST_FPIR:
        said = (
            f"with {people} people and a false match rate of {matcher.false_match_rate:.2g} each, `identify` and "
            f"`watch` would take about {rate:.0%} of strangers for somebody"
        )
        personal = "leave --personal out and enrol again, or " if matcher.kind == "personal" else ""
        advice = f"{personal}verify a claimed name, or calibrate for so many people (docs/identify.md)"
        yield Finding("warning", "identification", said, advice)


def key_file(path: Path) -> Finding:
    """Whether others can read a key or a passphrase."""
    if os.name == "posix" and path.exists() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        return Finding("warning", "key", f"{path} can be read by other accounts", f"chmod 600 {path}")
    return Finding("ok", "key", f"{path}")


def _tried(about: str, trial: Callable[[], Tried]) -> Finding:
    try:
        tried = trial()
    except OstiaryError as error:
        return Finding("fault", f"self-test {about}", str(error))
    said = f"{tried.said}; {tried.milliseconds:.1f} ms"
    if tried.as_expected is False:
        return Finding("fault", f"self-test {about}", said, "install ostiary and onnxruntime again, and report it")
    return Finding("ok", f"self-test {about}", said)


def _there(shelf: Shelf) -> bool:
    try:
        resolve_weights(None, shelf)
    except WeightsError:
        return False
    return True


def _version(name: str) -> str | None:
    """The version of an installed package; None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        # A distribution may lack its record, as when it was put there by hand.
        return "of unknown version" if importlib.util.find_spec(name.replace("-", "_")) else None
