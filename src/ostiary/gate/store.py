"""The database under a vault: its tables, and transactions that end whole or not at all.

SQLite in write-ahead mode by default: readers see the last committed state while one writer writes, and a killed
process leaves the old state or the new one. Any SQLAlchemy URL serves several doors; SQLite and PostgreSQL are
tested. No message of a driver or of SQLAlchemy reaches the caller with the values of a statement in it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, Engine, make_url

from ostiary.errors import ConfigurationError, MissingExtraError, VaultError

tables = sql.MetaData()

VAULT = sql.Table(
    "ostiary_vault",
    tables,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("vault", sql.String(32), nullable=False),
    sql.Column("format", sql.Integer, nullable=False),
    sql.Column("generation", sql.Integer, nullable=False),
    sql.Column("key_record", sql.Text, nullable=False),
    sql.Column("state", sql.LargeBinary, nullable=False),
    sql.Column("previous", sql.LargeBinary),
)
USERS = sql.Table(
    "ostiary_users",
    tables,
    sql.Column("handle", sql.String(200), primary_key=True),
    sql.Column("generation", sql.Integer, nullable=False, index=True),
    sql.Column("wrapped_key", sql.LargeBinary, nullable=False),
    sql.Column("record", sql.LargeBinary, nullable=False),
)
TEMPLATES = sql.Table(
    "ostiary_templates",
    tables,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("handle", sql.ForeignKey(USERS.c.handle), nullable=False, index=True),
    sql.Column("kind", sql.String(20), nullable=False),
    sql.Column("model", sql.String(64), nullable=False),
    sql.Column("preprocess", sql.String(64), nullable=False),
    sql.Column("added", sql.String(40), nullable=False),
    sql.Column("template", sql.LargeBinary(2**24), nullable=False),
)

_PATIENCE_S = 30
_SCRUB_PATIENCE_MS = 2000
_WRITES = "ostiary_writes"


def default_place() -> Path:
    """Where a vault lies if no place is named: the data folder of this user account."""
    try:
        import platformdirs
    except ModuleNotFoundError:
        raise MissingExtraError("platformdirs", "gate") from None
    return platformdirs.user_data_path("ostiary") / "vault.db"


class Store:
    """A database by path or URL.

    Args:
        place: a file for SQLite, or a SQLAlchemy URL.
        create: make the file (readable by its owner alone) and its folder if they are not there.

    Raises:
        ConfigurationError: the URL makes no sense, or names a database that lives in memory.
        MissingExtraError: the database's driver is not installed.
        VaultError: the file is not there, or cannot be made.

    """

    def __init__(self, place: Path | str, *, create: bool = False) -> None:
        url = _url(place)
        self.path = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        self.name = str(self.path) if self.path else url.render_as_string(hide_password=True)
        if self.path is not None:
            _prepare_file(self.path, create=create)
        self._engine = _engine(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database until the block ends."""
        with self._plainly(), self._engine.connect() as connection:
            if not self.path:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are committed together when the block ends well, and else are not made."""
        with self._plainly(), self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def is_empty(self, connection: Connection) -> bool:
        """Whether none of a vault's tables is there."""
        return not any(sql.inspect(connection).has_table(table.name) for table in tables.sorted_tables)

    def scrub(self) -> bool:
        """Empty SQLite's write-ahead log, which holds pages as they were; False if a reader kept it from that.

        On other databases there is nothing that a client can do: True.
        """
        if self.path is None:
            return True
        with self._plainly(), self._engine.connect() as connection:
            raw = connection.connection
            cursor = raw.cursor()
            try:
                cursor.execute(f"PRAGMA busy_timeout={_SCRUB_PATIENCE_MS}")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                row = cursor.fetchone()
                return row is not None and bool(row[0] == 0)
            except sqlite3.Error:
                return False
            finally:
                cursor.execute(f"PRAGMA busy_timeout={_PATIENCE_S * 1000}")
                cursor.close()

    def damage(self, connection: Connection) -> list[str]:
        """What SQLite's own check of the file finds, and what does not belong there; nothing elsewhere."""
        if self.path is None:
            return []
        found = [" ".join(str(row[0]).split()) for row in connection.exec_driver_sql("PRAGMA integrity_check(5)")]
        damaged = [] if found == ["ok"] else [f"{self.name} is damaged: {text}." for text in found]
        strange = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'view')")
        return damaged + [
            f"{self.name} has a trigger or view {name!r:.80}, which no vault has: someone may have put it there."
            for (name,) in strange
        ]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Errors of the database as one sentence."""
        try:
            yield
        except exc.DBAPIError as error:
            raise VaultError(self._sentence(error)) from None
        except UnicodeDecodeError:  # what SQLite's driver makes of damaged text, also in its own messages
            raise VaultError(f"{self.name} is damaged: restore a backup.") from None
        except exc.SQLAlchemyError as error:
            raise VaultError(f"{self.name} cannot be used ({type(error).__name__}): check the database.") from None

    def _sentence(self, error: exc.DBAPIError) -> str:
        text = str(error.orig).strip().split("\n", 1)[0]
        if "locked" in text:
            return f"{self.name} is busy: another process has been writing for {_PATIENCE_S} seconds; try again."
        if "malformed" in text or "not a database" in text or "decode" in text:
            return f"{self.name} is damaged or not a database: restore a backup."
        if "no such table" in text or "does not exist" in text or "no such column" in text:
            return f"{self.name} holds no vault: name the right place, or create one."
        shown = text if isinstance(error, exc.OperationalError) else type(error.orig).__name__
        return f"{self.name} cannot be used ({shown}): check the database and the right to use it."


def _url(place: Path | str) -> URL:
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(place)
    except exc.ArgumentError:
        raise ConfigurationError("The vault's URL cannot be read: write it as SQLAlchemy does.") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigurationError("A vault in memory is lost at the end: name a file.")
    return url


def _prepare_file(path: Path, *, create: bool) -> None:
    if path.is_file():
        return
    if not create:
        raise VaultError(f"{path} is not there: name the right place, or create a vault.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise VaultError(f"{path} cannot be made ({error.strerror}): name another place.") from None


def _engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() != "sqlite":
            return sql.create_engine(url, hide_parameters=True, pool_pre_ping=True)
        engine = sql.create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE_S})
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "the database's driver", "postgresql") from None
    except exc.ArgumentError:
        raise ConfigurationError(f"SQLAlchemy knows no database {url.drivername!r}: check the URL.") from None
    sql.event.listen(engine, "connect", _prepare_sqlite)
    sql.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # this module says BEGIN: the driver would not for a reader
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # what was acknowledged survives a power cut, too
        "secure_delete=ON",  # zeros over what was deleted
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "cell_size_check=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its place at once: one that had begun as a reader could find that another was faster.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
