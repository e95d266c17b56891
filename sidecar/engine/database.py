"""What the durable queue needs of a database; SQL is the part that SQLite and PostgreSQL share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


class Session(Protocol):
    """Statements of one transaction, with ``?`` where a value goes."""

    def rows(self, statement: str, *values: object) -> list[Row]:
        """What a query or a RETURNING clause gives."""

    def change(self, statement: str, *values: object) -> int:
        """How many rows a statement changed."""

    def announce(self) -> None:
        """Wake the other processes when this transaction is committed."""


class Database(Protocol):
    """A database that several processes use at once; each method raises E_UNAVAILABLE.

    Nothing is opened before it is needed; what the queue needs in it is made where it is missing.
    ``lease_seconds`` is how long a process may go on working without reaching the database before
    others may take it for dead; None where its death cannot be mistaken.
    """

    lease_seconds: float | None

    def transaction(self, *, serial: bool = True) -> AbstractContextManager[Session]:
        """All or nothing; ``serial`` ones come one after the other, the rest only read."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` from a thread whenever another process may have changed something."""

    def appear(self, executor: str) -> None:
        """Let others see that this process lives; the kernel takes it back when it dies."""

    def dead(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose process certainly lives no more."""

    def alive(self, executors: Collection[str]) -> frozenset[str]:
        """Those whose process certainly lives; of the rest some may be about to return."""

    def close(self) -> None:
        """Disappear, and release everything."""
