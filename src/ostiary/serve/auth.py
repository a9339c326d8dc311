"""Who may ask what: a bearer token has a role, and a role has rights. Only hashes of tokens are kept.

A door's own page needs less than the person who enrols people. In particular it must not be able to enrol, nor to
ask for liveness as often as it likes: nothing locks that question, and its answers help whoever tries pictures
until one passes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

from fastapi import HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ostiary.errors import ConfigurationError

Role = Literal["admin", "door", "check", "metrics"]
Right = Literal["decide", "look", "check", "settings", "people", "metrics"]
"""``decide``: verify and identify. ``look``: is the face fit to be judged. ``check``: is it alive. ``settings``:
see thresholds and configurations. ``people``: enrol, list and delete. ``metrics``: the counters.
"""

RIGHTS: dict[Role, frozenset[Right]] = {
    "admin": frozenset(get_args(Right)),
    "door": frozenset({"decide", "look", "settings"}),
    "check": frozenset({"look", "check"}),
    "metrics": frozenset({"metrics"}),
}

SHORTEST_TOKEN = 24
_LARGEST_FILE = 2**16


@dataclass(frozen=True, slots=True)
class Tokens:
    """Hashes of tokens, each with a role.

    Raises:
        ConfigurationError: there is none, one is too short, or one has two roles.

    """

    hashes: tuple[tuple[bytes, Role], ...] = field(repr=False)

    @classmethod
    def of(cls, given: Iterable[tuple[Role, str]]) -> Tokens:
        """Tokens in clear, with their roles."""
        hashes: dict[bytes, Role] = {}
        for role, token in given:
            if len(token) < SHORTEST_TOKEN:
                raise ConfigurationError(
                    f"A token has under {SHORTEST_TOKEN} characters and could be guessed: take "
                    "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`."
                )
            if hashes.setdefault(_hash(token), role) != role:
                raise ConfigurationError("A token has two roles: give each role a token of its own.")
        if not hashes:
            raise ConfigurationError("There is no token: write lines such as `admin TOKEN`.")
        return cls(tuple(hashes.items()))

    @classmethod
    def load(cls, path: Path) -> Tokens:
        """Read a file of lines ``ROLE TOKEN``; empty lines and lines that begin with ``#`` are passed over."""
        try:
            with path.open("rb") as file:
                text = file.read(_LARGEST_FILE).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text in UTF-8"
            raise ConfigurationError(f"{path} cannot be read ({reason}): name the file of tokens.") from None
        given: list[tuple[Role, str]] = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            role = next((role for role in RIGHTS if role == words[0]), None)
            if role is None or len(words) != 2:
                raise ConfigurationError(
                    f"{path}, line {number}, is not `ROLE TOKEN` with a role of {', '.join(RIGHTS)}."
                )
            given.append((role, words[1]))
        return cls.of(given)

    def role_of(self, token: str) -> Role | None:
        """The role of a token, None if there is none; the time that it takes tells nothing."""
        asked, found = _hash(token), None
        for known, role in self.hashes:
            if hmac.compare_digest(known, asked):
                found = role
        return found


def make_token_file(path: Path) -> bool:
    """Write a new token for each role, unless the file is there, readable by its owner alone; whether it was made.

    Raises:
        ConfigurationError: it cannot be written there.

    """
    if path.exists():
        return False
    lines = [f"{role} {secrets.token_urlsafe(32)}\n" for role in RIGHTS]
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(lines)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made ({error.strerror}): name another file.") from None
    return True


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks, as far as the token tells."""

    role: Role

    @property
    def rights(self) -> frozenset[Right]:
        """What the caller may ask for."""
        return RIGHTS[self.role]

    def may(self, right: Right) -> bool:
        """Whether the caller has a right."""
        return right in self.rights


_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="Without tokens the server listens to this machine alone."
)


class Needs:
    """A dependency of a route: who asks, if the token has the right.

    Raises:
        HTTPException: 401 without a valid token, 403 where its role may not.

    """

    def __init__(self, right: Right) -> None:
        self._right: Right = right

    async def __call__(
        self, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
    ) -> Caller:
        """The caller."""
        tokens: Tokens | None = request.app.state.service.settings.tokens
        role: Role | None = "admin"
        if tokens is not None:
            role = None if given is None else tokens.role_of(given.credentials)
        if role is None:
            raise HTTPException(
                401,
                "This needs a token: send `Authorization: Bearer TOKEN`.",
                {"WWW-Authenticate": "Bearer"},
            )
        if self._right not in RIGHTS[role]:
            raise HTTPException(403, f"A token of the role {role!r} may not do this.")
        return Caller(role)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
