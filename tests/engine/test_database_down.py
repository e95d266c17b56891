"""PostgreSQL that is down when a sidecar or a worker starts, and comes later."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.postgres import Cluster
from tests.engine.real_sidecar import SIDECAR, Place, until

DOWN = "The engine's PostgreSQL database cannot be used"


@pytest.fixture
def place(tmp_path: Path, postgres: Cluster) -> Iterator[Place]:
    """A trusted workspace of a fleet whose database has just stopped; it is up again afterwards."""
    postgres.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
    root = tmp_path / "workspace"
    config = f'engine_url = "{postgres.url}"\nworkspace_ids = {{ shop = "{root}" }}\n'
    made = Place.make(tmp_path, config=config)
    made.schedule(unit="hour", due_in=1, taskInteraction="interrupt")
    postgres.down()
    try:
        trusted = made.sidecar("trust", "--schedules")
        assert trusted.returncode == 0, trusted.stderr
        assert "may run" in trusted.stdout
        yield made
    finally:
        if not answers(postgres):
            postgres.up()


def answers(postgres: Cluster) -> bool:
    """Whether the server is up."""
    command = [str(postgres.bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(postgres.port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_serve_waits_for_its_database_says_so_once_and_answers_meanwhile(
    place: Place, postgres: Cluster
) -> None:
    serve, log = place.serve(), place.tools / "serve.log"
    try:
        until(lambda: "not executed here" in log.read_text("utf-8"), log.read_text)

        schedules = place.sidecar("call", "get_schedule_status")
        assert json.loads(schedules.stdout)["total_schedules"] == 1
        health = json.loads(place.sidecar("call", "get_system_status").stdout)
        assert any(DOWN in reason for reason in health["reasons"])
        told = json.loads(place.sidecar("status", "--json").stdout)
        assert DOWN in told["runs"][0]
        asked = place.sidecar("runs")
        assert (asked.returncode, DOWN in asked.stderr) == (2, True)
        assert "Traceback" not in asked.stderr

        postgres.up()
        until(lambda: place.starts, log.read_text)
        until(lambda: place.told().get("lastTaskId"))
    finally:
        serve.send_signal(signal.SIGINT)
        serve.wait(60)

    said = [line for line in log.read_text("utf-8").splitlines() if line.startswith("The sched")]
    assert len(said) == 2, said
    assert DOWN in said[0]
    assert said[1] == "The schedules are executed here now."
    assert len(place.starts) == 1


def test_a_worker_waits_for_its_database_and_says_so_once(place: Place, postgres: Cluster) -> None:
    command = [*SIDECAR, "worker", "--trust", "--workspace", f"shop={place.root}"]
    with subprocess.Popen(
        command, env=place.environment, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        try:
            first = worker.stdout.readline()
            assert first.startswith("No runs are worked on yet, which is tried again: " + DOWN)
            refused = place.sidecar("call", "manage_schedules", RUN_NOW)
            assert (refused.returncode, DOWN in refused.stdout) == (1, True)

            postgres.up()
            assert worker.stdout.readline().startswith("working for ")
            assert place.sidecar("call", "manage_schedules", RUN_NOW).returncode == 0
            until(lambda: place.starts)
            until(lambda: place.told().get("lastTaskId"))
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.stdout.read() == "stopped\n"
        assert worker.wait(60) == 0


RUN_NOW = json.dumps({"action": "run_now", "schedule_id": "1"})
