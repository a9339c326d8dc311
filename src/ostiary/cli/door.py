"""What all commands around the door are told: which vault and key, which networks and thresholds, which policy."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ostiary.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from ostiary.gate.examination import FindsFaces
    from ostiary.gate.gate import Gate
    from ostiary.gate.policy import Policy
    from ostiary.gate.setup import Stages
    from ostiary.gate.vault import Key, Vault

VaultPlace = Annotated[
    str | None,
    typer.Option(
        "--vault",
        envvar="OSTIARY_VAULT",
        help="File or database URL of the vault; by default vault.db in this account's data folder.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        envvar="OSTIARY_KEY_FILE",
        help="File with the vault's key of 32 bytes. Without any of the three the passphrase is asked for.",
        show_default=False,
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        envvar="OSTIARY_PASSPHRASE_FILE",
        help="File with the vault's passphrase in its first line.",
        show_default=False,
    ),
]
Keyring = Annotated[bool, typer.Option("--keyring", help="The key is in the operating system's keyring.")]
Log = Annotated[
    Path | None,
    typer.Option("--log", envvar="OSTIARY_LOG", help="Write what happens to this audit log.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VaultOptions:
    """Which vault, and what opens it."""

    vault: VaultPlace = None
    key_file: KeyFile = None
    passphrase_file: PassphraseFile = None
    keyring: Keyring = False

    @property
    def place(self) -> str | Path:
        """Where the vault is."""
        from ostiary.gate.store import default_place

        return default_place() if self.vault is None else self.vault

    def key(self) -> Key:
        """The vault's key, or what asks for it."""
        from ostiary.gate.key_choice import choose_key

        return choose_key(
            key_file=self.key_file, passphrase_file=self.passphrase_file, keyring=self.keyring, ask=ask
        )

    @contextmanager
    def opened(self) -> Iterator[Vault]:
        """The open vault, closed when the block ends."""
        from ostiary.gate.vault import Vault

        with Vault(self.place, self.key()) as vault:
            yield vault


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions(VaultOptions):
    """And what a gate judges by."""

    weights: Annotated[
        str | None,
        typer.Option(
            envvar="OSTIARY_FACE_WEIGHTS",
            help="Weights of the face embedding: a file, or a name that `weights list` shows.",
            show_default=False,
        ),
    ] = None
    personal: Annotated[
        bool, typer.Option("--personal", help="Recognise people by networks of their own, made when they enrol.")
    ] = False
    liveness_weights: Annotated[
        str | None, typer.Option(help="Weights of the liveness network.", show_default=False)
    ] = None
    configuration: Annotated[
        str | None,
        typer.Option(help="Configuration word of the liveness network, such as HLH.", show_default=False),
    ] = None
    budget_ms: Annotated[
        float | None,
        typer.Option(help="Milliseconds the liveness network may take; chooses the word.", show_default=False),
    ] = None
    cascade: Annotated[bool, typer.Option("--cascade", help="A cheap word judges, and a better one in doubt.")] = (
        False
    )
    calibration: Annotated[
        Path | None,
        typer.Option(envvar="OSTIARY_CALIBRATION", help="Thresholds of `ostiary calibrate`.", show_default=False),
    ] = None

    def stages(self) -> Stages:
        """The networks and their thresholds."""
        from ostiary.gate.setup import Stages

        return Stages.load(
            weights=self.weights,
            personal=self.personal,
            liveness_weights=self.liveness_weights,
            configuration=self.configuration,
            budget_ms=self.budget_ms,
            cascade=self.cascade,
            calibration=self.calibration,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions(NetworkOptions):
    """And the gate's name and log."""

    log: Log = None
    door: Annotated[str, typer.Option(help="Name of this door, for the log and the lock-out.")] = "door"

    @contextmanager
    def gate(self, policy: Policy, detector: FindsFaces | None = None) -> Iterator[Gate]:
        """The gate, with its vault open until the block ends."""
        stages = self.stages()
        with self.opened() as vault:
            yield stages.gate(vault, policy, log=self.log, detector=detector, door=self.door)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DoorOptions(GateOptions):
    """And what the site decides for itself."""

    several_faces: Annotated[str, typer.Option(help="What becomes of several faces: refuse, largest or each.")] = (
        "refuse"
    )
    frames: Annotated[
        int | None, typer.Option(help="So many pictures of one presentation must agree.", show_default=False)
    ] = None

    def policy(self, frames: int = 1) -> Policy:
        """What the site decides for itself; ``frames`` where the user has not said how many."""
        from ostiary.gate.policy import Policy

        return Policy(
            several_faces=self.several_faces,  # type: ignore[arg-type]  # the policy refuses other words
            frames=frames if self.frames is None else self.frames,
        )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the one parameter whose type is a dataclass of options into options of the command.

    The commands of the door share twenty of them. Where a package of the gate is missing, the command says which
    extra brings it.
    """
    hints = get_type_hints(command, include_extras=True)
    name = next(name for name, hint in hints.items() if dataclasses.is_dataclass(hint))
    kind: type[VaultOptions] = hints[name]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    own = [one for one in inspect.signature(command).parameters.values() if one.name != name]
    of_fields = get_type_hints(kind, include_extras=True)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        options = {field: given.pop(field) for field in fields}
        try:
            command(**given, **{name: kind(**options)})
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "gate") from error

    parameters = [
        *(one.replace(annotation=hints[one.name], kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
        *(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=of_fields[field.name]
            )
            for field in fields.values()
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def ask(said: str, twice: bool) -> str:
    """Ask for a passphrase; nothing is shown while it is typed.

    Raises:
        ConfigurationError: nobody answers.

    """
    try:
        answer: str = typer.prompt(said, hide_input=True, confirmation_prompt=twice, err=True)
    except typer.Abort:
        raise ConfigurationError(
            "No passphrase was given: type it, or name a file with --passphrase-file or --key-file."
        ) from None
    return answer
