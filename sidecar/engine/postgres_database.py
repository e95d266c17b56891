"""The durable queue's database of a fleet: PostgreSQL, an advisory lock for each live process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

import psycopg

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine import run_table
from sidecar.engine.database import Row, Session
from sidecar.workspace.locking import FairLock

CHANNEL = "sidecar_runs"
SCHEMA = "sidecar"
# Numbers of our own for advisory locks: of all transactions that write, and of live processes.
_SERIAL = 0x51DECA4
_ALIVE = 0x51DECA5
# The server finds a silent host dead after 6 + 3 x 3 seconds; such a host has stopped before.
_LEASE_SECONDS = 6.0
# Statements, not startup options: a pooler refuses those.
_SETTINGS = (
    f"SET search_path = {SCHEMA}; SET lock_timeout = '20s'; SET tcp_keepalives_idle = 6;"
    " SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3"
)
# A process whose connection breaks is back within this, and others wait that long for it; a
# server that was just started waits longer, because everybody has to come back.
_RETURN_SECONDS = 1.5
_RESTART_SECONDS = 8.0
_AGAIN_SECONDS = 0.25
_WAIT_SECONDS = 20.0
_HEAR_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
# How often it is looked whether a pooler shares the server's processes.
_PROBES = 5


class _PostgresSession:
    """Statements on the one connection of this process."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[Row]:
        """What a query or a RETURNING clause gives."""
        return self._execute(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        """How many rows a statement changed."""
        return self._execute(statement, values).rowcount

    def announce(self) -> None:
        """Wake the other processes when this transaction is committed."""
        self._connection.execute(f"NOTIFY {CHANNEL}")

    def _execute(self, statement: str, values: tuple[object, ...]) -> psycopg.Cursor[Row]:
        return self._connection.execute(statement.replace("?", "%s").encode(), values or None)


class PostgresDatabase:
    """A PostgreSQL database; ``url`` is a libpq URL, with SQLAlchemy's ``+psycopg`` or without."""

    def __init__(self, url: str, *, lease_seconds: float = _LEASE_SECONDS) -> None:
        self.lease_seconds: float | None = lease_seconds
        self._url = url.replace("postgresql+psycopg:", "postgresql:", 1)
        self._lock = FairLock()
        self._connection: psycopg.Connection[Row] | None = None
        self._executor = ""
        self._shown = threading.Event()
        self._closing = threading.Event()
        self._listener: threading.Thread | None = None
        self._free_since: dict[str, float] = {}

    @contextmanager
    def transaction(self, *, serial: bool = True) -> Iterator[Session]:
        """All or nothing; serial ones are one at a time over all processes."""
        if not self._lock.acquire(_WAIT_SECONDS):
            raise SidecarError(ErrorCode.UNAVAILABLE, "The engine's database is in use.")
        try:
            connection = self._opened()
            with connection.transaction():
                if serial:
                    _serialize(connection)
                yield _PostgresSession(connection)
        except psycopg.Error as error:
            self._dropped()
            raise _explained(error) from error
        finally:
            self._lock.release()

    def _opened(self) -> psycopg.Connection[Row]:
        if self._connection is None:
            connection = self._connected("sidecar")
            try:
                self._refuse_shared(connection)
                _create(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _dropped(self) -> None:
        if self._connection is not None and (self._connection.broken or self._connection.closed):
            self._connection = None

    def _connected(self, name: str) -> psycopg.Connection[Row]:
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            application_name=name,
            connect_timeout=5,
            tcp_user_timeout=6000,
            keepalives_idle=4,
            keepalives_interval=2,
            keepalives_count=2,
        )
        try:
            connection.execute(_SETTINGS.encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_shared(self, connection: psycopg.Connection[Row]) -> None:
        """Raise E_INVALID where a pooler lends one server process to several connections in turn.

        Locks and LISTEN would be lost between two transactions, and with them who is alive.
        """
        ours = _server_process(connection)
        if ours == connection.info.backend_pid:
            return  # the server itself, or what passes its words on
        for _ in range(_PROBES):
            with self._connected("sidecar probe") as other:
                now = _server_process(connection)
                if now != ours or _server_process(other) == now:
                    message = "A pooler in transaction mode is between here and PostgreSQL."
                    hint = "Name the server itself in `engine_url`, or use its session mode."
                    raise SidecarError(ErrorCode.INVALID, message, hint=hint)

    def listen(self, wake: Callable[[], None]) -> None:
        """Wait for notifications on the kept connection, which is made again when it breaks."""
        self._listener = threading.Thread(
            target=self._listen, args=(wake,), name="run-queue-listener", daemon=True
        )
        self._listener.start()

    def _listen(self, wake: Callable[[], None]) -> None:
        while not self._closing.is_set():
            try:
                with self._connected("sidecar listener") as connection:
                    self._hear(connection, wake)
            except psycopg.Error:
                if self._shown.is_set():
                    self._shown.clear()
                    # What is said meanwhile is lost, so everybody looks.
                    wake()
                self._closing.wait(_AGAIN_SECONDS)

    def _hear(self, connection: psycopg.Connection[Row], wake: Callable[[], None]) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        while not self._closing.is_set():
            if self._executor and not self._shown.is_set():
                query = "SELECT pg_advisory_lock(%s, hashtext(%s))"
                connection.execute(query, (_ALIVE, self._executor))
                self._shown.set()
            wake()
            for _ in connection.notifies(timeout=_HEAR_SECONDS, stop_after=1):
                pass

    def appear(self, executor: str) -> None:
        """Let the listener hold an advisory lock: its connection's end is seen at once."""
        self._executor = executor
        with self.transaction() as session:
            session.announce()
        if not self._shown.wait(_WAIT_SECONDS):
            message = "The engine's PostgreSQL database does not answer."
            raise SidecarError(ErrorCode.UNAVAILABLE, message)

    def dead(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose lock has been free for longer than a broken connection takes to return."""
        free = self._free(executors)
        now = time.monotonic()
        known = {each: self._free_since.get(each, now) for each in free}
        self._free_since = known
        return frozenset(each for each, since in known.items() if now - since >= _RETURN_SECONDS)

    def _free(self, executors: Collection[str]) -> list[str]:
        with self.transaction(serial=False) as session:
            age = session.rows("SELECT extract(epoch FROM now() - pg_postmaster_start_time())")
            if float(age[0][0]) < _RESTART_SECONDS:
                return []
            return _unlocked(session, executors)

    def alive(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose lock is held."""
        with self.transaction(serial=False) as session:
            return frozenset(executors).difference(_unlocked(session, executors))

    def close(self) -> None:
        """Disappear, and release everything."""
        self._closing.set()
        with suppress(SidecarError), self.transaction(serial=False) as session:
            session.announce()
        if self._listener is not None:
            self._listener.join(_CLOSE_SECONDS)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _server_process(connection: psycopg.Connection[Row]) -> int:
    """The server's process that answers on a connection."""
    ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
    return int(pid)


def _serialize(connection: psycopg.Connection[Row]) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_SERIAL,))


def _create(connection: psycopg.Connection[Row]) -> None:
    """Make what the queue needs where it is missing."""
    with connection.transaction():
        _serialize(connection)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        run_table.create(_PostgresSession(connection), "BIGSERIAL PRIMARY KEY")


def _unlocked(session: Session, executors: Collection[str]) -> list[str]:
    query = "SELECT pg_try_advisory_xact_lock(?, hashtext(?))"
    return [each for each in executors if session.rows(query, _ALIVE, each)[0][0]]


def _explained(error: psycopg.Error) -> SidecarError:
    """What a person can do about it; libpq's text names host and user, never the password."""
    state = getattr(error, "sqlstate", None) or type(error).__name__
    hint = "Look at the setting `engine_url` and at the server."
    message = f"The engine's PostgreSQL database cannot be used ({state})."
    return SidecarError(ErrorCode.UNAVAILABLE, message, hint=hint)
