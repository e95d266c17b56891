"""Each system call of a write refused by the system, one after another: old file or new, said why.

strace makes the very call of the running process fail; nothing of ours is replaced.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.refused import CHANGES
from tests.faults.streams import State, broken

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "workspace"
CASES = int(os.environ.get("SIDECAR_REFUSALS", "40"))
STRACE = shutil.which("strace")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(STRACE is None, reason="strace makes the system calls fail"),
]

CAUSES = {
    "ENOSPC": "full",
    "EACCES": "permission",
    "EIO": "reports an error",
}
STEPS = ["openat", "openat2", "write", "pwrite64", "fsync", "fdatasync", "renameat", "renameat2"]
STEPS += ["unlinkat", "mkdirat", "mkdir", "fchmod", "flock", "ftruncate"]
# SQLite tells neither of them apart, nor does it say what it could not open.
RECORDS = "records"
_CALL = re.compile(r"^\d+ +(\w+)\(")


@dataclass
class Writer:
    """The process whose calls fail."""

    process: subprocess.Popen[str]
    root: Path
    log: Path

    def change(self, name: str, key: str, inject: str = "") -> tuple[dict[str, str], str]:
        """Its answer to a change, and what strace saw meanwhile."""
        with traced(self.process.pid, self.log, inject):
            answer = self.ask(name, key)
        return answer, self.log.read_text()

    def ask(self, name: str, key: str) -> dict[str, str]:
        """Its answer to a change."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"change": name, "key": key}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, str]:
        """The next line it says."""
        assert self.process.stdout is not None
        found: dict[str, str] = json.loads(self.process.stdout.readline())
        return found


@contextmanager
def traced(pid: int, log: Path, inject: str) -> Iterator[None]:
    """Strace on all threads of a process, with one call failing."""
    assert STRACE is not None
    options = ["-e", f"inject={inject}"] if inject else []
    command = [STRACE, "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(STEPS)}", *options]
    with subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE, text=True) as tracer:
        ends = time.monotonic() + 10
        while not all_traced(pid):
            if tracer.poll() is not None or time.monotonic() > ends:
                tracer.kill()
                assert tracer.stderr is not None
                pytest.skip(f"strace may not attach here: {tracer.stderr.read().strip()}")
            time.sleep(0.002)
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()


def all_traced(pid: int) -> bool:
    """Whether a tracer is on every thread of the process."""
    statuses = [p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/status")]
    return all("TracerPid:\t0\n" not in status for status in statuses)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A process with everything loaded, in a copy of the sample workspace."""
    root = Path(shutil.copytree(EXAMPLE, tmp_path / "workspace"))
    command = [sys.executable, "-m", "tests.faults.refused", str(root)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        found = Writer(process, root, tmp_path / "strace.txt")
        for _ in CHANGES:
            assert found.answer()["warm"] == ""
        yield found
        process.kill()


def steps(writer: Writer) -> list[tuple[str, str, int]]:
    """Every system call of every change: the change, the call, the how manieth of its kind."""
    found = []
    for name in CHANGES:
        answer, seen = writer.change(name, f"count-{name.replace(' ', '-')}")
        assert answer["code"] == "", answer
        calls = [match[1] for line in seen.split("\n") if (match := _CALL.match(line))]
        # The last write is the answer itself.
        counts = {call: calls.count(call) - (call == "write") for call in STEPS}
        found += [(name, call, n + 1) for call, count in counts.items() for n in range(count)]
    return found


def judged(writer: Writer, name: str, key: str, before: bytes | None, told: str) -> list[str]:
    """What is wrong after a refused change, in words; nothing where all is well."""
    change = CHANGES[name]
    file = writer.root / change.path.format(key=key)
    now = file.read_bytes() if file.exists() else None
    is_new = now is not None and change.mark(key).encode() in now
    wrong = []
    if told == "" and not is_new:
        wrong.append("acknowledged, but not there")
    if now != before and not is_new:
        wrong.append("neither old nor new")
    wrong += broken(State.of(writer.root), 1)
    return wrong


def test_a_step_refused_by_the_system_leaves_the_old_file_or_the_new_one_and_is_explained(
    writer: Writer, record_property: Callable[[str, object], None]
):
    cases = [(*step, cause) for step in steps(writer) for cause in CAUSES]
    chosen = random.Random(3).sample(cases, min(CASES, len(cases)))
    failed: list[str] = []
    fired = refused = 0
    for number, (name, call, occurrence, cause) in enumerate(chosen):
        key = f"k{number}"
        file = writer.root / CHANGES[name].path.format(key=key)
        before = file.read_bytes() if file.exists() else None
        answer, seen = writer.change(name, key, f"{call}:error={cause}:when={occurrence}")
        if "(INJECTED)" not in seen:
            continue  # that thread did not come so far this time
        fired += 1
        refused += answer["code"] != ""
        wrong = judged(writer, name, key, before, answer["code"])
        wrong += misexplained(answer, cause)
        leftovers = [p.name for p in writer.root.rglob(".sidecar-*.tmp")]
        if leftovers and call != "unlinkat":
            wrong.append(f"left {leftovers}")
        for each in writer.root.rglob(".sidecar-*.tmp"):
            each.unlink()
        failed += [f"{name}, {call} {occurrence} {cause}: {what}; {answer}" for what in wrong]
        again = writer.ask(name, f"{key}-again")
        failed += [f"{name} after {call} {cause}: {again}"] if again["code"] else []

    record_property("refused calls", f"{fired}/{len(chosen)} of {len(cases)}")
    print(f"\nsystem calls refused {fired}, changes refused {refused}, wrong {len(failed)}/{fired}")
    assert failed == []
    assert fired > len(chosen) // 2


def misexplained(answer: dict[str, str], cause: str) -> list[str]:
    """Whether an answer fails to name the cause of the refusal."""
    if answer["code"] == "":
        return []
    if answer["code"] not in {"E_IO", "E_BUSY"}:
        return [f"answered {answer['code']}"]
    named = CAUSES[cause] in answer["message"] or RECORDS in answer["message"]
    return [] if named else ["the cause is not named"]
