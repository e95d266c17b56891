"""Killed writers and many writers: whole files, and no update lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.workspace.workspace import Workspace

pytestmark = pytest.mark.faults

TRIALS = int(os.environ.get("SIDECAR_KILL_TRIALS", "30"))
WRITERS, UPDATES = 4, 25
SAVES = int(os.environ.get("SIDECAR_FOREIGN_SAVES", "200"))

WRITER = """
import sys
from pathlib import Path
from sidecar.workspace.workspace import Workspace
files = Workspace.open(Path(sys.argv[1])).files
size = int(sys.argv[2])
for number in range(1_000_000):
    files.write("state.json", b"[" + b"%d," % number * size + b"%d]" % number)
    files.append("log.tsv", b"%d\\tone\\ttwo\\n" % number)
    print(number, flush=True)
"""

ADDER = """
import json, sys
from pathlib import Path
from sidecar.workspace.workspace import Workspace
workspace, name = Workspace.open(Path(sys.argv[1])), sys.argv[2]

def added(key):
    def change(current):
        items = json.loads(current.data) if current else []
        return json.dumps([*items, key]).encode()
    return change

for number in range(int(sys.argv[3])):
    key = f"{name}-{number}"
    workspace.files.update("shared.json", added(key), backup=None)
    workspace.files.append("shared.tsv", f"{key}\\n".encode())
    with workspace.store.transaction() as records:
        records.put("shared", key, {})
"""

MARKER = """
import sys
from pathlib import Path
from sidecar.workspace.workspace import Workspace
files = Workspace.open(Path(sys.argv[1])).files
while True:
    files.update("note.txt", lambda found: (found.data if found else b"")[:64] + b"+", backup=None)
"""

REFUSED = """
import resource, signal, sys
from pathlib import Path
from sidecar.domain.errors import SidecarError
from sidecar.workspace.workspace import Workspace
files = Workspace.open(Path(sys.argv[1])).files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for write in (files.write, files.append):
    try:
        write("state.json", b"x" * 200_000)
    except SidecarError as error:
        print(error.code, error, flush=True)
"""


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_after_some_writes(root: Path, size: int, delay: float) -> int:
    """The number of the last write that was acknowledged before the kill."""
    with started(WRITER, root, size) as writer:
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(delay)
        writer.kill()
        return max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])


def test_a_killed_writer_leaves_whole_files_and_every_acknowledged_write(root: Path):
    chance = random.Random(1)
    torn = lost = 0
    for trial in range(TRIALS):
        size = chance.choice([10, 1000, 100_000])
        last = killed_after_some_writes(root, size, chance.uniform(0.0, 0.05))
        state = (root / "state.json").read_bytes()
        try:
            values = json.loads(state)
        except ValueError:
            torn += 1
            continue
        torn += len(set(values)) != 1 or len(values) != size + 1
        lost += values[0] < last
        rows = (root / "log.tsv").read_text().split("\n")[:-1]
        lost += f"{last}\tone\ttwo" not in rows
        (root / "log.tsv").unlink()
        assert Workspace.open(root).files.write("after.txt", b"%d" % trial).changed

    assert (torn, lost) == (0, 0)


def test_a_write_that_the_system_refuses_halfway_leaves_the_old_file(root: Path):
    (root / "state.json").write_bytes(b"old\n")
    with started(REFUSED, root) as writer:
        said, _ = writer.communicate(timeout=60)

    assert said.count("E_IO") == 2
    assert "larger than is allowed" in said
    assert (root / "state.json").read_bytes() == b"old\n"
    assert not list(root.glob(".sidecar-*.tmp"))


def test_a_lock_is_free_after_its_holder_was_killed(root: Path):
    killed_after_some_writes(root, 1000, 0.02)
    began = time.monotonic()

    Workspace.open(root).files.write("state.json", b"[]")

    assert time.monotonic() - began < 10


def test_many_processes_lose_no_update(root: Path):
    adders = [started(ADDER, root, f"w{number}", UPDATES) for number in range(WRITERS)]
    for adder in adders:
        adder.communicate(timeout=240)
        assert adder.returncode == 0

    expected = {f"w{writer}-{number}" for writer in range(WRITERS) for number in range(UPDATES)}
    listed = json.loads((root / "shared.json").read_bytes())
    rows = (root / "shared.tsv").read_text().split("\n")[:-1]
    with Workspace.open(root).store.transaction() as records:
        recorded = [key for key, _ in records.items("shared")]

    for found in (listed, rows, recorded):
        assert len(found) == len(expected)
        assert set(found) == expected


def test_a_file_touched_by_others_all_the_time_still_gets_every_update(root: Path):
    (root / "shared.json").write_text("[]")
    with started(ADDER, root, "ours", UPDATES) as ours:
        while ours.poll() is None:
            time.sleep(0.002)
            os.utime(root / "shared.json")
        assert ours.returncode == 0

    listed = json.loads((root / "shared.json").read_bytes())
    assert listed == [f"ours-{number}" for number in range(UPDATES)]


def saved(path: Path, text: str) -> None:
    """As an editor that saves by renaming."""
    temporary = path.with_name("note.txt.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def built_upon(path: Path, text: str) -> bool:
    """Whether our writer soon shows the text with a mark of its own behind it."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        if path.read_text().startswith(f"{text}+"):
            return True
    return False


def test_no_save_of_an_editor_is_replaced_unseen(root: Path):
    note, chance, unseen = root / "note.txt", random.Random(2), 0
    note.write_text("start")
    with started(MARKER, root) as writer:
        assert built_upon(note, "start")
        for number in range(SAVES):
            time.sleep(chance.uniform(0, 0.004))
            saved(note, f"save {number} ")
            unseen += not built_upon(note, f"save {number} ")
        writer.kill()

    assert unseen == 0
