"""The durable queue's default database: one SQLite file on the user's side, kernel locks beside."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine import run_table
from sidecar.engine.database import Row, Session
from sidecar.workspace.locking import FairLock
from sidecar.workspace.user_dirs import private

_BUSY_SECONDS = 20.0
_BUSY_TRIES = 200
_BEGIN_SECONDS = 0.002
# One pragma on a mapped page: some ten microseconds, and no system call that waits.
_LISTEN_SECONDS = 0.25


class _SqliteSession:
    """Statements on the one connection of this process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[Row]:
        """What a query or a RETURNING clause gives."""
        return self._connection.execute(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        """How many rows a statement changed."""
        return self._connection.execute(statement, values).rowcount

    def announce(self) -> None:
        """Nothing to do: listeners see that the file changed."""


class SqliteDatabase:
    """One file for all workspaces of a user, in write-ahead mode with ``synchronous=FULL``."""

    lease_seconds: float | None = None

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = FairLock()
        self._connection: sqlite3.Connection | None = None
        self._executors = file.parent / f"{file.stem}-executors"
        self._presence: filelock.BaseFileLock | None = None
        self._closing = threading.Event()
        self._listener: threading.Thread | None = None

    @contextmanager
    def transaction(self, *, serial: bool = True) -> Iterator[Session]:
        """All or nothing; serial ones are one at a time over all processes."""
        if not self._lock.acquire(_BUSY_SECONDS):
            raise SidecarError(ErrorCode.UNAVAILABLE, "The engine's database is in use.")
        try:
            yield from self._within(serial=serial)
        except sqlite3.Error as error:
            raise _explained(error) from error
        finally:
            self._lock.release()

    def _within(self, *, serial: bool) -> Iterator[Session]:
        connection = self._opened()
        if serial:
            _begin_writing(connection)
        else:
            connection.execute("BEGIN")
        try:
            yield _SqliteSession(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = _connected(self._file)
            try:
                _begin_writing(connection)
                run_table.create(_SqliteSession(connection), "INTEGER PRIMARY KEY AUTOINCREMENT")
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def listen(self, wake: Callable[[], None]) -> None:
        """Look at the file's version now and then; the look costs no disk access."""
        self._listener = threading.Thread(
            target=self._listen, args=(wake,), name="run-queue-listener", daemon=True
        )
        self._listener.start()

    def _listen(self, wake: Callable[[], None]) -> None:
        connection = _connected(self._file)
        try:
            known = None
            while not self._closing.wait(_LISTEN_SECONDS):
                version = None
                with suppress(sqlite3.OperationalError):
                    version = connection.execute("PRAGMA data_version").fetchone()[0]
                if version != known:
                    known = version
                    wake()
        finally:
            connection.close()

    def appear(self, executor: str) -> None:
        """Hold a lock of our own, which the kernel takes back whatever ends us."""
        lock = _lock(private(self._executors) / f"{executor}.lock")
        lock.acquire()
        self._presence = lock

    def dead(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose lock can be taken."""
        return frozenset(each for each in executors if self._is_dead(each))

    def alive(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose lock is held."""
        return frozenset(executors) - self.dead(executors)

    def _is_dead(self, executor: str) -> bool:
        lock = _lock(private(self._executors) / f"{executor}.lock")
        try:
            lock.acquire()
        except filelock.Timeout:
            return False
        # Ids are never used again, so nobody can come to hold the file that is removed here.
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        return True

    def close(self) -> None:
        """Disappear, and release everything."""
        self._closing.set()
        if self._listener is not None:
            self._listener.join()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._presence is not None:
            self._presence.release()
            Path(self._presence.lock_file).unlink(missing_ok=True)


def _lock(path: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(
        path, timeout=0, fallback_to_soft=False, preserve_lock_file=True, thread_local=False
    )


def _connected(file: Path) -> sqlite3.Connection:
    private(file.parent)
    # Closing any descriptor of a file drops all locks that its process holds on it, those of its
    # other connections too: so only a file that is not there yet may be opened beside SQLite.
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _begin_writing(connection: sqlite3.Connection) -> None:
    """Take the write lock; SQLite's own waiting sleeps up to a tenth of a second at a time."""
    end = time.monotonic() + _BUSY_SECONDS
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(_BEGIN_SECONDS)
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000:.0f}")


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn write-ahead mode on; SQLite does not wait where several processes do so at once."""
    for _ in range(_BUSY_TRIES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            time.sleep(_BUSY_SECONDS / _BUSY_TRIES)
        else:
            return


def _explained(error: sqlite3.Error) -> SidecarError:
    """What a person can do about it; the text of SQLite may hold a path."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        message = "The engine's database is damaged."
        return SidecarError(ErrorCode.CORRUPT, message, hint="Move `engine.sqlite` away.")
    busy = name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    why = "in use by another process for too long" if busy else f"not usable ({name or 'error'})"
    hint = "Look at the disk's free space and the rights of the sidecar's state folder."
    return SidecarError(ErrorCode.UNAVAILABLE, f"The engine's database is {why}.", hint=hint)
