"""A sidecar that a client has started, and that executes schedules."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sidecar.domain.run import ENDED, RunState
from sidecar.host.server import LINGER_SECONDS
from tests.channel.clients import agent, alive, status
from tests.engine.real_sidecar import Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def test_the_sidecar_stays_for_its_run_when_the_last_client_has_gone_and_ends_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = Place.make(tmp_path, orders=("hang", "succeed"), config='execute = "always"')
    monkeypatch.setenv("SIDECAR_HOME", str(place.home))
    place.schedule(unit="hour", due_in=3)
    assert place.sidecar("trust", "--schedules").returncode == 0
    client = agent(place.root, env=place.environment)
    try:
        client.initialize()
        until(lambda: place.starts)
        told = status(place.root)
        assert client.close() == 0
        time.sleep(2 * LINGER_SECONDS)  # longer than it would stay without a run
        [run] = status(place.root)["runs"]
        assert place.starts[0][0] in run
        os.kill(place.starts[0][1], signal.SIGKILL)
        until(lambda: not alive(told["pid"]))
        [record] = place.runs()
        assert record.state in ENDED | {RunState.WAITING}
    finally:
        client.kill()
        place.sidecar("stop")
