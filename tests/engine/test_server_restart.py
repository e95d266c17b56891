"""PostgreSQL that stops in the middle of a run, for a moment and for long."""

from __future__ import annotations

import threading
from typing import Any

from sidecar.domain.run import RunState
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.postgres_database import PostgresDatabase
from tests.engine.postgres import Cluster
from tests.engine.test_durable_queue import Recorded, asked, held, settled, succeed


def test_a_run_survives_the_server_s_restart_and_is_not_run_twice(postgres: Cluster) -> None:
    """Both processes come back; the peer does not take the other's lost lock for its death."""
    postgres.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
    with held() as (attempt, started, let_go):
        mine, peer, theirs = Recorded(attempt), Recorded(), None
        queue = DurableQueue(PostgresDatabase(postgres.url))
        theirs = DurableQueue(PostgresDatabase(postgres.url))
        try:
            queue.work(mine)
            queue.enqueue(asked("r"))
            assert started.wait(20)
            theirs.work(peer)

            postgres.down()
            postgres.up()
            let_go.set()

            assert settled(theirs, "r", RunState.SUCCEEDED).attempts == 1
            assert mine.steps("r") == ["begin", "attempt 1", "finish"]
            assert peer.steps("r") == []
        finally:
            let_go.set()
            queue.close()
            theirs.close()


def test_who_cannot_reach_the_server_for_long_stops_what_others_may_take_over(
    postgres: Cluster,
) -> None:
    postgres.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
    stopped = threading.Event()

    def first_time(request: dict[str, Any], number: int, stop: threading.Event) -> dict[str, Any]:
        if stopped.is_set():
            return succeed(request, number, stop)
        started.set()
        stopped.set() if stop.wait(60) else None
        return {"status": "cancelled", "reason": "told to stop"}

    started, work = threading.Event(), Recorded(first_time)
    queue = DurableQueue(PostgresDatabase(postgres.url, lease_seconds=0.5))
    try:
        queue.work(work)
        queue.enqueue(asked("r"))
        assert started.wait(20)

        postgres.down()
        assert stopped.wait(30)
        postgres.up()

        settled(queue, "r", RunState.SUCCEEDED)
        first, *between, last = work.steps("r")
        assert (first, last) == ("begin", "finish")
        # On a machine that stands still for half a second the lease is lost once more.
        assert between == ["attempt 1", *["recover", "attempt 1"] * (len(between) // 2)]
        assert len(between) >= 3
    finally:
        queue.close()
