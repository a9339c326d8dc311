"""How a process opens the door: what a worker is handed when it starts, and makes a gate of.

The vault's key is asked for once, in the first process, and handed to the workers through a pipe: it is never an
argument, a variable of the environment or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ostiary.errors import VaultError
from ostiary.gate.keys import CallerKey, KeyRecord, KeySource
from ostiary.gate.liveness_stage import LivenessStage
from ostiary.gate.policy import Policy
from ostiary.gate.setup import load_matcher
from ostiary.gate.vault import Key, Vault
from ostiary.serve.dial import Dial
from ostiary.serve.door import Door
from ostiary.serve.thresholds import Thresholds, calibration_of

OpensDoor = Callable[[], AbstractContextManager[Door]]
"""Opens a door, and closes its vault when the block ends. Can be pickled where several processes are asked for."""


class RememberedKey:
    """A vault's key that is asked for at most once, also by the processes that this is handed to.

    Args:
        key: the key, or where it comes from.

    """

    def __init__(self, key: Key) -> None:
        self._source: KeySource | None = CallerKey(key) if isinstance(key, bytes) else key
        self._known: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "RememberedKey(...)"

    def __getstate__(self) -> dict[str, object]:
        """What another process gets: the keys that are known, and not how to ask for one."""
        return {"_source": None, "_known": self._known}

    def new(self) -> tuple[KeyRecord, bytes]:
        """A server makes no vault.

        Raises:
            VaultError: always.

        """
        raise VaultError("A server opens a vault and makes none: make it with `ostiary vault create`.")

    def key(self, record: KeyRecord) -> bytes:
        """The key of an existing vault.

        Raises:
            VaultError: as the source's; or the vault has another key than when the first process opened it.

        """
        name = record.model_dump_json()
        if name not in self._known:
            if self._source is None:
                raise VaultError("The vault's key was changed since the server started: start the server again.")
            self._known[name] = self._source.key(record)
        return self._known[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a door is made of, as the command line says it. Arguments as of ``ostiary.gate.setup.Stages.load``.

    Calling it opens the door until the block ends.

    Raises:
        ConfigurationError, WeightsError, VaultError: as :class:`ostiary.gate.gate.Gate` and its stages.

    """

    vault: str | Path
    key: RememberedKey = field(repr=False)
    policy: Policy
    weights: str | None = None
    personal: bool = False
    liveness_weights: str | None = None
    configuration: str | None = None
    budget_ms: float | None = None
    cascade: bool = False
    calibration: Path | None = None
    log: Path | None = None
    name: str = "door"

    @contextmanager
    def __call__(self) -> Iterator[Door]:
        """The door; networks and thresholds come before the vault, so that mistakes there are told first."""
        site = calibration_of(self.calibration)
        matcher = load_matcher(self.weights, personal=self.personal, calibration=site)
        stage = LivenessStage(
            self.liveness_weights,
            configuration=self.configuration,
            budget_ms=self.budget_ms,
            cascade=self.cascade,
            calibration=site,
        )
        dial = Dial.of(stage, self.liveness_weights, site)
        known = Thresholds.load(
            site, weights=self.weights, personal=self.personal, liveness_weights=self.liveness_weights
        )
        with Vault(self.vault, self.key) as vault:
            yield Door(vault, dial, matcher, self.policy, thresholds=known, log=self.log, name=self.name)
