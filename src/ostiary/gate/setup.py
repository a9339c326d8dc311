"""A gate from what can be said on a command line or in a file of settings.

The networks and thresholds come first and the vault last, so that a mistake in a path is told before anybody is
asked for a passphrase.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ostiary.errors import ConfigurationError
from ostiary.gate.audit import AuditHead, AuditLog
from ostiary.gate.calibration import Calibration
from ostiary.gate.examination import FindsFaces
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import JudgesLiveness, LivenessStage
from ostiary.gate.matching import EmbeddingMatcher, Matcher
from ostiary.gate.personal_matching import PersonalEnrolment, PersonalMatcher
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault


@dataclass(frozen=True, slots=True)
class Stages:
    """What a gate judges by, loaded and with its thresholds."""

    liveness: JudgesLiveness
    matcher: Matcher

    @classmethod
    def load(
        cls,
        *,
        weights: str | None = None,
        personal: bool = False,
        liveness_weights: str | None = None,
        configuration: str | None = None,
        budget_ms: float | None = None,
        cascade: bool = False,
        calibration: Path | None = None,
    ) -> Stages:
        """Open the networks.

        Args:
            weights: of the face embedding; None for the default.
            personal: people are recognised by networks of their own, made of that embedding by the default
                generator.
            liveness_weights: None for the default.
            configuration: word of the liveness network.
            budget_ms: instead of a word: the milliseconds that a face may take.
            cascade: instead of both: a cheap word, and a better one in doubt.
            calibration: a file of ``ostiary calibrate``; None for the thresholds in the weights.

        Raises:
            ConfigurationError: settings that exclude each other, a calibration of other models, or a generator of
                another embedding.
            WeightsError: weights cannot be used, or there are none.

        """
        site = None if calibration is None else Calibration.load(calibration)
        matcher = load_matcher(weights, personal=personal, calibration=site)
        liveness = LivenessStage(
            liveness_weights,
            configuration=configuration,
            budget_ms=budget_ms,
            cascade=cascade,
            calibration=site,
        )
        return cls(liveness, matcher)

    def gate(
        self,
        vault: Vault,
        policy: Policy,
        *,
        log: Path | None = None,
        detector: FindsFaces | None = None,
        door: str = "door",
    ) -> Gate:
        """A gate of these stages.

        Args:
            vault: who is enrolled.
            policy: what the site decides for itself.
            log: file of the audit log, chained with the vault's own key; None for no log.
            detector: None for a search of the whole picture.
            door: name of the gate.

        Raises:
            VaultError, InputError: as :class:`ostiary.gate.gate.Gate`.

        """
        return Gate(
            vault,
            liveness=self.liveness,
            matcher=self.matcher,
            policy=policy,
            audit=open_log(log, vault),
            detector=detector,
            door=door,
        )


def load_matcher(
    weights: str | None = None, *, personal: bool = False, calibration: Calibration | None = None
) -> Matcher:
    """What tells people apart. Arguments and errors as of :meth:`Stages.load`."""
    if personal:
        return PersonalMatcher(generate=PersonalEnrolment(weights), calibration=calibration)
    return EmbeddingMatcher(weights, calibration=calibration)


def open_log(path: Path | None, vault: Vault) -> AuditLog | None:
    """The audit log of a vault; None where none is wanted."""
    return None if path is None else AuditLog(path, vault.log_key)


def parse_head(text: str) -> AuditHead:
    """The head of a log as ``NUMBER:HASH``.

    Raises:
        ConfigurationError: it is none.

    """
    number, _, digest = text.strip().partition(":")
    if not (number.isascii() and number.isdecimal() and re.fullmatch("[0-9a-f]{64}", digest)):
        raise ConfigurationError(
            f"{text[:100]!r} is no head of a log: give NUMBER:HASH as `ostiary audit verify` prints it."
        )
    return AuditHead(int(number), digest)
