"""Durable records on the user's side: one SQLite file a workspace."""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.locking import FairLock
from sidecar.workspace.user_dirs import private

SCHEMA_VERSION = 1
_BUSY_SECONDS = 15.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (collection, key)
) WITHOUT ROWID
"""


# Where a record lies, and its value.
Record = tuple[str, str, dict[str, Any]]


class Transaction:
    """Reads and changes that happen together or not at all."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """One record, or None."""
        query = "SELECT value FROM records WHERE collection = ? AND key = ?"
        row = self._connection.execute(query, (collection, key)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put(self, collection: str, key: str, value: dict[str, Any]) -> None:
        """Create or replace one record; the value must be JSON."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        query = "INSERT OR REPLACE INTO records VALUES (?, ?, ?)"
        self._connection.execute(query, (collection, key, text))

    def delete(self, collection: str, key: str) -> bool:
        """Remove one record; whether it was there."""
        query = "DELETE FROM records WHERE collection = ? AND key = ?"
        return self._connection.execute(query, (collection, key)).rowcount > 0

    def keys(self, collection: str, prefix: str = "") -> list[str]:
        """The keys of a collection, in order; with a prefix only those that start with it."""
        query = "SELECT key FROM records WHERE collection = ? AND key >= ? AND key < ?"
        bounds = (collection, prefix, prefix + "\U0010ffff")
        with closing(self._connection.execute(query + " ORDER BY key", bounds)) as rows:
            return [key for (key,) in rows]

    def items(self, collection: str, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """The records of a collection, by key; with a prefix only keys that start with it."""
        query = "SELECT key, value FROM records WHERE collection = ? AND key >= ? AND key < ?"
        bounds = (collection, prefix, prefix + "\U0010ffff")
        with closing(self._connection.execute(query + " ORDER BY key", bounds)) as rows:
            return [(key, dict(json.loads(value))) for key, value in rows]


class Store:
    """Records of one workspace by collection and key; created at the first use.

    Write-ahead log and ``synchronous=FULL``: a transaction that returned has reached the disk.
    """

    def __init__(self, file: Callable[[], Path]) -> None:
        self._file = file
        self._lock = FairLock()
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._viewing = threading.Lock()
        self._view: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, one at a time over all processes; raises E_BUSY, E_IO."""
        if not self._lock.acquire(_BUSY_SECONDS):
            raise SidecarError(ErrorCode.BUSY, "The sidecar's records are in use.")
        try:
            connection = self._opened()
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield Transaction(connection)
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise _explained(error) from error
        finally:
            self._lock.release()

    @contextmanager
    def view(self) -> Iterator[Transaction]:
        """The records as they are at this moment, for reading alone: no writer is waited for.

        Raises E_IO.
        """
        with self._viewing:
            if self._view is None:
                self._view = self._connect()
            try:
                self._view.execute("BEGIN")
                try:
                    yield Transaction(self._view)
                finally:
                    self._view.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                raise _explained(error) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        file = self._file()
        private(file.parent)
        try:
            connection = _connected(file)
        except sqlite3.DatabaseError as error:
            raise _explained(error) from error
        weakref.finalize(self, connection.close)
        return connection

    def close(self) -> None:
        """Close the database; the next transaction opens it again."""
        with self._guard, self._viewing:
            for connection in (self._connection, self._view):
                if connection is not None:
                    connection.close()
            self._connection = self._view = None


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        if _version(connection) != SCHEMA_VERSION:
            _set_up(connection)
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    """The version of the tables, 0 where there are none; raises for a newer one than ours."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > SCHEMA_VERSION:
        message = (
            "The sidecar's records of this workspace were written by a newer sidecar"
            f" (schema {found}; this one knows {SCHEMA_VERSION})."
        )
        hint = "Update this sidecar, or set SIDECAR_HOME to another folder."
        raise SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
    return found


def _set_up(connection: sqlite3.Connection) -> None:
    """Make the tables; the version is written last, so that what has it needs no write again."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _explained(error: sqlite3.DatabaseError) -> SidecarError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return SidecarError(ErrorCode.BUSY, "The sidecar's records are in use.")
    if "full" in text:
        return SidecarError(ErrorCode.IO, "The disk of the sidecar's records is full.")
    cause = ": the disk reports an error" if "disk I/O" in text else ""
    message = f"The sidecar's records on the user's side cannot be read or written{cause}."
    return SidecarError(ErrorCode.IO, message, hint="Set SIDECAR_HOME to a local folder.")
