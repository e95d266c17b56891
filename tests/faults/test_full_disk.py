"""A disk that is really full, and then is not: old files stay whole, and work goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.domain.errors import SidecarError
from tests.faults.refused import CHANGES
from tests.faults.streams import State, broken

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "workspace"
KIBIBYTE = 1024

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's"),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of its own, with a copy of the sample workspace."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk, where the system allows it at all")
    shutil.copytree(EXAMPLE, disk / "workspace")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def filled(disk: Path, left: int) -> Path:
    """A file that takes all room but so many bytes."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with ballast.open("wb") as file:
        file.write(b"\0" * max(0, status.f_bavail * status.f_frsize - left))
    return ballast


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("left", [0, 4 * KIBIBYTE, 12 * KIBIBYTE])
def test_a_full_disk_leaves_every_file_as_it_was_or_as_it_should_be(
    small_disk: Path, name: str, left: int
):
    change = CHANGES[name]
    state = State.of(small_disk / "workspace")
    state.ask(change.tool, change.arguments("before"))
    file = state.root / change.path.format(key="k")
    before = file.read_bytes() if file.exists() else None
    ballast = filled(small_disk, left)

    told = ""
    try:
        state.ask(change.tool, change.arguments("k"))
    except SidecarError as error:
        told = f"{error.code.value} {error}"
    now = file.read_bytes() if file.exists() else None

    is_new = now is not None and change.mark("k").encode() in now
    if told:
        assert told.startswith("E_IO")
        assert "full" in told
        assert now == before or is_new
    else:
        finalised = name == "time log" and not is_new  # it waits, and its answer says so
        assert is_new or finalised
    assert json.loads(state.text(".roo/schedules.json"))
    assert not list(state.root.rglob(".sidecar-*.tmp"))
    assert broken(state, 1) == []

    ballast.unlink()
    state.ask(change.tool, change.arguments("after"))
    after = state.root / change.path.format(key="after")
    assert change.mark("after") in after.read_text("utf-8")
