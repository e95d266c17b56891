"""Eleven processes and an editor change the same files through the real tools; nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "workspace"
UPDATES = int(os.environ.get("SIDECAR_UPDATES", "10"))
WRITERS = 11
EDITOR_WRITERS, EDITOR_UPDATES = 3, UPDATES
FILES = {
    "schedules": ".roo/schedules.json",
    "timing": "task_timing.tsv",
    "memory": "persistent-memory.md",
    "page": "page.txt",
}

pytestmark = pytest.mark.faults


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the sample workspace with a page that anybody may write."""
    root = Path(shutil.copytree(EXAMPLE, tmp_path / "workspace"))
    (root / "page.txt").write_text("page\n")
    return root


@contextmanager
def adders(root: Path, noun: str, writers: int, updates: int) -> Iterator[list[subprocess.Popen]]:
    """Processes that are at work as soon as all of them are ready."""
    with ExitStack() as stack:
        found = []
        for number in range(writers):
            command = [sys.executable, "-m", "tests.faults.adder", str(root), noun]
            process = subprocess.Popen(
                [*command, f"w{number}", str(updates)],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            found.append(stack.enter_context(process))
        for process in found:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in found:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield found


def conflicts(processes: list[subprocess.Popen]) -> int:
    """Wait for all; how many conflicts they were told of."""
    told = 0
    for process in processes:
        out, _ = process.communicate(timeout=500)
        assert process.returncode == 0
        told += json.loads(out)["E_CONFLICT"]
    return told


def stored(root: Path, noun: str) -> str:
    """All text of that kind, with what the memory's budget has moved to its archive."""
    text = (root / FILES[noun]).read_text("utf-8")
    archive = root / "persistent-memory.archive"
    if noun == "memory" and archive.is_dir():
        text += "".join(path.read_text("utf-8") for path in sorted(archive.iterdir()))
    return text


@pytest.mark.parametrize("noun", FILES)
def test_eleven_processes_lose_no_update(
    noun: str, root: Path, record_property: Callable[[str, object], None]
):
    began = time.monotonic()
    updates = UPDATES if noun != "page" else min(UPDATES, 10)
    with adders(root, noun, WRITERS, updates) as processes:
        told = conflicts(processes)
    took = time.monotonic() - began

    text = stored(root, noun)
    keys = [f"w{writer}-{number};" for writer in range(WRITERS) for number in range(updates)]
    present = sum(key in text for key in keys)
    record_property("present", f"{present}/{len(keys)}")
    print(f"\n{noun}: present {present}/{len(keys)}, conflicts told {told}, {took:.0f} s")
    assert present == len(keys)
    if noun == "schedules":
        assert len(json.loads(text)["schedules"]) == 2 + len(keys)
    if noun == "timing":
        assert sum(f"\t{key}\t" in text for key in keys) == text.count("\tstarted\t") - 1


def edited(noun: str, text: str, mark: str) -> str:
    """The text with a person's own addition."""
    if noun == "schedules":
        entry = {"id": mark, "name": mark, "mode": "implementation-core", "active": False}
        head, bracket, tail = text.partition("[")
        return f"{head}{bracket}\n    {json.dumps(entry)},{tail}"
    if noun == "memory":
        head, newline, tail = text.partition("\n")
        return f"{head}{newline}\n{mark} by hand\n{tail}"
    if noun == "timing":
        return f"{text}# {mark} by hand\n"
    return f"{text}{mark} by hand\n"


def stopped(process: subprocess.Popen) -> bool:
    """Whether a process is stopped, or has ended."""
    try:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "TZX"


def saved(processes: list[subprocess.Popen], path: Path, noun: str, mark: str) -> None:
    """Save as an editor does, by renaming, while the writers stand still wherever they are.

    So the editor itself overwrites nothing, and a writer stopped between reading and replacing
    finds another file than the one it has read.
    """
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    while not all(stopped(process) for process in processes):
        time.sleep(0.001)
    temporary = path.with_name("editor.swp")
    temporary.write_text(edited(noun, path.read_text("utf-8"), mark), encoding="utf-8")
    temporary.replace(path)
    for process in processes:
        process.send_signal(signal.SIGCONT)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc tells who stands still")
@pytest.mark.parametrize("noun", FILES)
def test_an_editor_that_saves_between_reading_and_writing_loses_nothing_and_nothing_to_it(
    noun: str, root: Path, record_property: Callable[[str, object], None]
):
    chance, saves = random.Random(4), 0
    with adders(root, noun, EDITOR_WRITERS, EDITOR_UPDATES) as processes:
        while any(process.poll() is None for process in processes):
            time.sleep(chance.uniform(0, 0.02))
            saved(processes, root / FILES[noun], noun, f"editor-{saves};")
            saves += 1
        told = conflicts(processes)

    text = stored(root, noun)
    keys = [f"w{w}-{n};" for w in range(EDITOR_WRITERS) for n in range(EDITOR_UPDATES)]
    keys += [f"editor-{number};" for number in range(saves)]
    present = sum(key in text for key in keys)
    record_property("present", f"{present}/{len(keys)}")
    print(f"\n{noun}: present {present}/{len(keys)}, {saves} saves, conflicts told {told}")
    assert present == len(keys)
    assert not list(root.rglob(".sidecar-*.tmp"))
