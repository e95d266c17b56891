"""PgBouncer before PostgreSQL: a session is served, a transaction's pool is refused in words."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.run import RunState
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.postgres_database import PostgresDatabase
from tests.engine.postgres import Cluster
from tests.engine.test_durable_queue import Recorded, asked, settled

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
SETTINGS = """[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
{user}
"""


@pytest.fixture
def pooled(postgres: Cluster, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts a pooler in a mode; gives the database's URL through it."""
    postgres.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
    processes: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        user = "user = nobody" if os.getuid() == 0 else ""
        text = SETTINGS.format(server=postgres.port, port=port, mode=mode, user=user)
        databases, rest = text.split("[pgbouncer]")
        file = tmp_path / "pgbouncer.ini"
        file.write_text(databases.replace("* =", "postgres = user=sidecar") + "[pgbouncer]" + rest)
        processes.append(subprocess.Popen([str(PGBOUNCER), "-q", str(file)]))
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert processes[-1].poll() is None
            time.sleep(0.05)
        return f"postgresql://sidecar@127.0.0.1:{port}/postgres"

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_pool_of_transactions_is_refused_in_a_sentence(pooled: Callable[[str], str]) -> None:
    queue = DurableQueue(PostgresDatabase(pooled("transaction")))

    with pytest.raises(SidecarError) as caught:
        queue.work(Recorded())

    queue.close()
    assert caught.value.code is ErrorCode.INVALID
    assert "transaction mode" in caught.value.message


def test_through_a_pool_of_sessions_runs_are_worked_on(pooled: Callable[[str], str]) -> None:
    url = pooled("session")
    queue, asking = (DurableQueue(PostgresDatabase(url)) for _ in range(2))
    try:
        queue.work(Recorded())
        asking.enqueue(asked("r"))
        assert settled(asking, "r", RunState.SUCCEEDED).attempts == 1
    finally:
        queue.close()
        asking.close()
