"""Eleven processes and an editor change the same files through the real tools; nothing is lost."""

from __future__ import annotations

import itertools
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

from tests.faults.adder import deleted_by

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "workspace"
UPDATES = int(os.environ.get("SIDECAR_UPDATES", "10"))
WRITERS = 11
EDITOR_WRITERS, EDITOR_UPDATES = 3, UPDATES
# Every save stops every writer, so that eleven come forward slowly.
DELAYED_WRITERS = WRITERS if UPDATES > 10 else 4
# A person stops saving; an editor that never did would keep three writers in conflict for ever.
MOST_SAVES = 40
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
def adders(
    root: Path, noun: str, writers: int, updates: int, *how: str
) -> Iterator[list[subprocess.Popen]]:
    """Processes that are at work as soon as all of them are ready."""
    with ExitStack() as stack:
        found = []
        for number in range(writers):
            command = [sys.executable, "-m", "tests.faults.adder", str(root), noun]
            process = subprocess.Popen(
                [*command, f"w{number}", str(updates), *how],
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


def made(text: str, noun: str, writer: int, number: int) -> bool:
    """Whether one update can be seen: what it added, or that what it deleted is gone."""
    if noun == "schedules":
        old = deleted_by(number)
        if old is not None:
            return f"w{writer}-{old};" not in text
        later = number + 11
        if number % 2 == 0 and later < UPDATES:
            return True  # the deletion found it
    return f"w{writer}-{number};" in text


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
    present = sum(made(text, noun, w, n) for w in range(WRITERS) for n in range(updates))
    record_property("present", f"{present}/{WRITERS * updates}")
    print(f"\n{noun}: present {present}/{WRITERS * updates}, conflicts told {told}, {took:.0f} s")
    assert present == WRITERS * updates
    if noun == "schedules":
        deleted = sum(deleted_by(number) is not None for number in range(updates))
        assert len(json.loads(text)["schedules"]) == 2 + WRITERS * (updates - 2 * deleted)
    if noun == "timing":
        assert text.count("\tstarted\t") == 1 + WRITERS * updates


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
        while saves < MOST_SAVES and any(process.poll() is None for process in processes):
            time.sleep(chance.uniform(0, 0.02))
            saved(processes, root / FILES[noun], noun, f"editor-{saves};")
            saves += 1
        told = conflicts(processes)

    text = stored(root, noun)
    wanted = EDITOR_WRITERS * EDITOR_UPDATES + saves
    updates = itertools.product(range(EDITOR_WRITERS), range(EDITOR_UPDATES))
    present = sum(made(text, noun, writer, number) for writer, number in updates)
    present += sum(f"editor-{number};" in text for number in range(saves))
    record_property("present", f"{present}/{wanted}")
    print(f"\n{noun}: present {present}/{wanted}, {saves} saves, conflicts told {told}")
    assert present == wanted
    assert not list(root.rglob(".sidecar-*.tmp"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="/proc tells who stands still")
@pytest.mark.parametrize("noun", ["schedules", "memory"])
def test_an_editor_that_never_stops_saving_keeps_no_writer_for_ever_and_loses_nothing(
    noun: str, root: Path, record_property: Callable[[str, object], None]
):
    """Writers try each update once: it is there, or the conflict was reported."""
    chance, saves = random.Random(5), 0
    updates = max(2, UPDATES // 5)
    with adders(root, noun, DELAYED_WRITERS, updates, "once") as processes:
        while any(process.poll() is None for process in processes):
            time.sleep(chance.uniform(0, 0.01))
            saved(processes, root / FILES[noun], noun, f"editor-{saves};")
            saves += 1
        answers = [json.loads(process.communicate()[0]) for process in processes]
        assert all(process.returncode == 0 for process in processes)

    text = stored(root, noun)
    acknowledged = [(w, n) for w, told in enumerate(answers) for n in told["acknowledged"]]
    refused = [n for told in answers for code in ("E_CONFLICT", "E_BUSY") for n in told[code]]
    present = sum(f"w{writer}-{number};" in text for writer, number in acknowledged)
    edits = sum(f"editor-{number};" in text for number in range(saves))
    record_property("present", f"{present + edits}/{len(acknowledged) + saves}")
    print(
        f"\n{noun}: present {present}/{len(acknowledged)} acknowledged and {edits}/{saves} saves,"
        f" refused and told so {len(refused)} of {DELAYED_WRITERS * updates}"
    )
    assert len(acknowledged) + len(refused) == DELAYED_WRITERS * updates
    assert present == len(acknowledged)
    assert edits == saves
    assert not list(root.rglob(".sidecar-*.tmp"))
