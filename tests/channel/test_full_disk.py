"""No room where locks, sockets and logs are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar.channel import seat
from tests.channel.clients import sidecars, status, total, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")


@pytest.fixture
def full(user_directory: Path) -> Iterator[Callable[[str], None]]:
    """Makes the user's runtime folder a file system with these options, and fills it up."""
    folder = user_directory / "run"

    def fill(options: str) -> None:
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount, where the system allows it at all")
        with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        left = os.statvfs(folder)
        assert 0 in {left.f_bavail, left.f_favail}

    yield fill
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_without_room_for_data_there_is_one_sidecar_all_the_same(
    start, full, example_workspace, user_directory, monkeypatch
):
    monkeypatch.delenv(seat.TRANSPORT, raising=False)  # an address would need room
    full("size=16k")
    agents = [start(example_workspace) for _ in range(2)]
    for agent in agents:
        agent.initialize()
        assert total(agent) == 6
    until(lambda: len(status(example_workspace)["clients"]) == 2)
    assert len(sidecars(user_directory)) == 1
    for agent in agents:
        assert agent.close() == 0
    until(lambda: not sidecars(user_directory))


@pytest.mark.parametrize(
    "missing",
    [
        ("nr_inodes=1", "", b"No space left on device"),
        ("size=16k", "tcp", b"The sidecar ended 3 times while it started."),
    ],
    ids=["file", "address"],
)
def test_without_room_for_what_is_needed_the_channel_serves_alone_and_says_why(
    start, full, example_workspace, user_directory, monkeypatch, missing
):
    options, transport, why = missing
    monkeypatch.setenv(seat.TRANSPORT, transport)
    full(options)
    agent = start(example_workspace)
    agent.initialize()
    assert total(agent) == 6
    until(lambda: why in agent.errors)
    assert not sidecars(user_directory)
    assert agent.close() == 0
