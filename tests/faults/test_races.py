"""Folders and links exchanged while they are used: nothing outside is read or written."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.domain.errors import SidecarError
from sidecar.services.context import Context
from sidecar.services.search import search_in_files
from sidecar.settings import Settings
from sidecar.workspace import directories
from sidecar.workspace.walking import Walk
from sidecar.workspace.workspace import Workspace
from tests.faults.swapping import exchanging

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's"),
]

SECONDS = float(os.environ.get("SIDECAR_RACE_SECONDS", "2"))
SECRET = b"OUTSIDE-SECRET"


@pytest.fixture
def trap(root: Path) -> Path:
    """A folder with a file, and a link of another name to a folder outside with a secret."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "data.txt").write_bytes(SECRET)
    (root / "folder").mkdir()
    (root / "folder" / "data.txt").write_bytes(b"inside")
    (root / "link").symlink_to(outside)
    return root


def workspaces(root: Path) -> list[Workspace]:
    """The workspace by each way of opening that this machine has."""
    found = Workspace.open(root)
    slow = replace(found, files=replace(found.files, tree=replace(found.files.tree, fast=False)))
    return [found, slow] if directories.has_openat2() else [slow]


def test_reads_never_return_the_secret(trap: Path):
    tries = leaks = 0
    with exchanging(trap / "folder", trap / "link"):
        for workspace in workspaces(trap):
            ends = time.monotonic() + SECONDS / 2
            while time.monotonic() < ends:
                tries += 1
                try:
                    leaks += SECRET in workspace.files.read("folder/data.txt").data
                except SidecarError:
                    continue

    assert (leaks, tries > 500) == (0, True)


def test_writes_never_land_outside(trap: Path):
    tries = 0
    with exchanging(trap / "folder", trap / "link"):
        for workspace in workspaces(trap):
            ends = time.monotonic() + SECONDS / 2
            while time.monotonic() < ends:
                tries += 1
                try:
                    workspace.files.write("folder/data.txt", b"%d" % tries, backup=None)
                    workspace.files.append("folder/log.txt", b"x\n")
                except SidecarError:
                    continue

    outside = trap.parent / "outside"
    assert [path.name for path in outside.iterdir()] == ["data.txt"]
    assert (outside / "data.txt").read_bytes() == SECRET
    assert tries > 20


def test_searches_and_walks_never_tell_of_the_outside(trap: Path):
    (trap.parent / "outside" / "only-outside.txt").write_bytes(SECRET)
    context = Context(Workspace.open(trap), Settings())
    arguments = {"pattern": SECRET.decode(), "regex": False}
    tries = found = 0
    with exchanging(trap / "folder", trap / "link"):
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            tries += 1
            found += search_in_files.call(context, arguments).total_matches
            names = [e.name for e in context.workspace.files.walk("", Walk(hidden=True))]
            found += "only-outside.txt" in names

    assert (found, tries > 10) == (0, True)


def test_a_fifo_exchanged_for_a_file_never_blocks(root: Path):
    os.mkfifo(root / "fifo")
    (root / "file").write_bytes(b"inside")
    workspace = Workspace.open(root)
    done = threading.Event()

    def read() -> None:
        ends = time.monotonic() + SECONDS / 2
        while time.monotonic() < ends:
            try:
                workspace.files.read("file")
            except SidecarError:
                continue
        done.set()

    with exchanging(root / "fifo", root / "file"):
        threading.Thread(target=read, daemon=True).start()
        assert done.wait(SECONDS + 20)


def test_this_machine_can_exchange_entries():
    """Without this the tests above would prove nothing."""
    assert hasattr(ctypes.CDLL(None), "renameat2")
