"""One id, one folder: a fleet's database knows at which root each workspace is being executed."""

from __future__ import annotations

import socket
import time
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import Executing
from sidecar.engine.database import Database
from sidecar.engine.run_json import instant

# A database needs some seconds to tell a process that is gone from one that reconnects.
_AGAIN_SECONDS = 0.25


class Claimant(NamedTuple):
    """A process that is about to execute: its name, what started it, and when, as the rows say."""

    executor: str
    kind: str
    since: int


def claim_root(database: Database, claimant: Claimant, workspace: str, root: Path) -> None:
    """Note that this process executes a workspace here.

    Raises E_CONFLICT where a live process executes the same id at another root: the runs of two
    different folders would be taken for each other's.
    """
    place, host = _place(root), socket.gethostname()
    while (other := _other(database, workspace, place)) is not None:
        if other.executor in database.dead([other.executor]):
            _forget(database, workspace, other)
        elif other.executor in database.alive([other.executor]):
            message = f"`{workspace}` is being executed in another folder, on {other.host}."
            hint = "Give one of the two an id of its own, or stop the other sidecar."
            raise SidecarError(ErrorCode.CONFLICT, message, hint=hint)
        else:
            time.sleep(_AGAIN_SECONDS)
    with database.transaction() as session:
        session.change(
            "INSERT INTO executing (workspace, place, executor, host, kind, since)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (workspace) DO UPDATE SET"
            " executor = excluded.executor, kind = excluded.kind, since = excluded.since"
            " WHERE executing.place = excluded.place",
            workspace, place, claimant.executor, host, claimant.kind, claimant.since,
        )  # fmt: skip
    if _other(database, workspace, place) is not None:
        claim_root(database, claimant, workspace, root)


class _Leading(NamedTuple):
    """Who executes a workspace."""

    executor: str
    host: str


def _other(database: Database, workspace: str, place: str) -> _Leading | None:
    """Who executes the workspace somewhere else, dead or alive."""
    query = "SELECT executor, host FROM executing WHERE workspace = ? AND place <> ?"
    with database.transaction(serial=False) as session:
        rows = session.rows(query, workspace, place)
    return _Leading(*rows[0]) if rows else None


def _forget(database: Database, workspace: str, gone: _Leading) -> None:
    query = "DELETE FROM executing WHERE workspace = ? AND executor = ?"
    with database.transaction() as session:
        session.change(query, workspace, gone.executor)


def leading(database: Database, workspace: str) -> Executing | None:
    """Who executes a workspace, None where the one that did lives no more."""
    query = "SELECT executor, host, kind, since FROM executing WHERE workspace = ?"
    with database.transaction(serial=False) as session:
        rows = session.rows(query, workspace)
    for executor, host, kind, since in rows:
        began = instant(since)
        if began is not None and executor in database.alive([executor]):
            return Executing(executor, host, kind, began)
    return None


def _place(root: Path) -> str:
    """A folder of a host, as a hash: paths are nobody else's business."""
    real = root.resolve()
    text = f"{socket.gethostname()}\0{real}\0{real.stat().st_ino}"
    return sha256(text.encode()).hexdigest()[:32]
