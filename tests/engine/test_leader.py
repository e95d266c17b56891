"""Which process executes: one on a machine, one folder for an id, handed over when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine.durable_queue import DurableQueue
from sidecar.engine.leader import Leader
from sidecar.workspace.user_dirs import UserDirs
from tests.engine.databases import open_database

HOLDER = """
import sys, time
from pathlib import Path
from sidecar.engine.leader import Leader
from sidecar.workspace.user_dirs import UserDirs
lead = lambda: print("leads", flush=True)
leader = Leader(UserDirs.locate(), Path(sys.argv[1]), lead, failed=print)
leader.start()
time.sleep(60)
"""


def holder(root: Path) -> subprocess.Popen[str]:
    """Another process that leads."""
    command = [sys.executable, "-c", HOLDER, str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "leads\n"
    return process


def test_a_killed_leader_s_workspace_is_handed_over(tmp_path: Path) -> None:
    process, led = holder(tmp_path), threading.Event()
    leader = Leader(UserDirs.locate(), tmp_path, led.set, failed=pytest.fail)
    leader.start()
    try:
        assert not led.wait(1.2)
        assert not leader.leads
        os.kill(process.pid, signal.SIGKILL)

        assert led.wait(20)
        assert leader.leads
    finally:
        leader.stop()
        process.kill()
        process.wait()


def test_who_cannot_lead_leaves_it_to_another(tmp_path: Path) -> None:
    told: list[Exception] = []
    led = threading.Event()

    def refuse() -> None:
        message = "not here"
        raise SidecarError(ErrorCode.CONFLICT, message)

    first = Leader(UserDirs.locate(), tmp_path, refuse, failed=told.append, again_seconds=60)
    first.start()
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    second = Leader(UserDirs.locate(), tmp_path, led.set, failed=pytest.fail)
    second.start()

    assert led.wait(20)
    assert str(told[0]) == "not here"
    assert not first.leads
    second.stop()
    first.stop()


@pytest.fixture
def queues(engine_url: str, tmp_path: Path) -> Any:
    made: list[DurableQueue] = []

    def make() -> DurableQueue:
        made.append(DurableQueue(open_database(tmp_path / "state", engine_url)))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def test_one_id_in_two_folders_is_refused_in_a_sentence(
    queues: Callable[[], DurableQueue], tmp_path: Path
) -> None:
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        root.mkdir()
    first, second = queues(), queues()
    first.execute_at("w", roots[0])
    second.execute_at("other", roots[1])

    with pytest.raises(SidecarError) as caught:
        second.execute_at("w", roots[1])

    assert caught.value.code is ErrorCode.CONFLICT
    assert "`w` is being executed in another folder" in caught.value.message
    assert str(tmp_path) not in str(caught.value)
    second.execute_at("w", roots[0])


def test_a_folder_whose_process_is_gone_gives_its_id_away(
    queues: Callable[[], DurableQueue], tmp_path: Path
) -> None:
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        root.mkdir()
    first, second = queues(), queues()
    first.execute_at("w", roots[0])
    first.close()

    second.execute_at("w", roots[1])

    third = queues()
    with pytest.raises(SidecarError):
        third.execute_at("w", roots[0])
