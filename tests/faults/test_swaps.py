"""Folders and files exchanged for links while every tool that takes a path uses them."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sidecar.workspace import directories
from tests.faults.agent import PATH_TOOLS, Agent, Answer
from tests.faults.swapping import exchanging

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's"),
]

# `make faults` asks for 20,000 tries in all; the quick run for a few of each way.
SECONDS = float(os.environ.get("SIDECAR_SWAP_SECONDS", "0.1"))
TRIES_ASKED = int(os.environ.get("SIDECAR_SWAP_TRIES", "0"))
SECRET = "OUTSIDE-SECRET"
ONLY_OUTSIDE = "only-outside"
CONTROL_PATIENCE = 30.0
SCHEDULE = {
    "name": "n", "mode": "code", "taskInstructions": "x", "timeInterval": "1", "timeUnit": "hour",
}  # fmt: skip

Use = Callable[[Agent, int], Answer]


def by(way: str, path: str) -> Use:
    """One of the tools that take a path, on a path."""
    return lambda agent, _: agent.use(way, path)


def other(name: str, **arguments: object) -> Use:
    """A tool that uses a file of the loop, in which a number makes each call a new one."""

    def use(agent: Agent, number: int) -> Answer:
        numbered = {
            key: f"{value} {number}" if key in {"content", "task_description"} else value
            for key, value in arguments.items()
        }
        return agent.call(name, **numbered)

    return use


# What is exchanged, and every use of it. The last group are files that tools use unasked.
FILE, FOLDER, LOOP, STATE = "file", "folder", "loop", "state"
USES: dict[str, tuple[str, Use]] = {
    **{f"{way} in a folder": (FOLDER, by(way, "folder/data.txt")) for way in PATH_TOOLS},
    **{f"{way} of a file": (FILE, by(way, "data.txt")) for way in PATH_TOOLS},
    "list a folder": (FOLDER, by("list", "folder")),
    "list the root": (FOLDER, by("list", ".")),
    "search a folder": (FOLDER, by("search", "folder")),
    "search the root": (FOLDER, by("search", ".")),
    "validate a folder": (FOLDER, by("validate", "folder")),
    "read the schedules": (LOOP, other("get_schedule_status", format_output=False)),
    "change the schedules": (LOOP, other("manage_schedules", action="create",
                                         schedule_data=SCHEDULE)),
    "read the plan": (LOOP, other("get_todo_status")),
    "read the memory": (LOOP, other("get_persistent_memory")),
    "write the memory": (LOOP, other("update_persistent_memory", section="system_updates",
                                     content="x")),
    "start a timer": (LOOP, other("track_task_time", task_description="x")),
    "read the times": (LOOP, other("get_time_tracking")),
    "repair the files": (LOOP, other("sync_environment")),
    "take a checkpoint": (LOOP, other("error_recovery", operation="x", error_context={},
                                      recovery_strategy="cleanup")),
    "keep a backup in the state": (STATE, by("backup", "data.txt")),
    "keep a report in the state": (STATE, by("validate", "data.txt")),
}  # fmt: skip
LOOP_FILES = {
    ".roo/schedules.json": '{"schedules": []}\n', "TODO.md": "- [ ] x\n",
    "persistent-memory.md": "# System Updates & Status\n", "task_timing.tsv": "timestamp\n",
}  # fmt: skip
SECRET_FILES = {
    "schedules.json": f'{{"schedules": [{{"id": "1", "name": "{SECRET}"}}]}}',
    "TODO.md": f"- [ ] {SECRET}\n", "persistent-memory.md": f"# {SECRET}\n\n## {SECRET}\nx\n",
    "task_timing.tsv": f"{SECRET}\n", "data.txt": SECRET, f"{ONLY_OUTSIDE}.json": "{",
    f"{ONLY_OUTSIDE}.txt": SECRET,
}  # fmt: skip


@dataclass
class Field:
    """A workspace with links to what lies outside, and how often it was led astray."""

    root: Path
    tries: int = 0
    leaks: int = 0
    refused: int = 0

    @property
    def outside(self) -> Path:
        return self.root.parent / "outside"

    def pairs(self, what: str) -> list[Path]:
        """What is to be exchanged for a link, each followed by its link."""
        names = {
            FILE: ["data.txt"], FOLDER: ["folder"], STATE: [".sidecar"],
            LOOP: [".roo", "TODO.md", "persistent-memory.md", "task_timing.tsv"],
        }[what]  # fmt: skip
        return [path for name in names for path in (self.root / name, self.link(name))]

    def link(self, name: str) -> Path:
        return self.root / f"link-{name.strip('.')}"

    def build(self) -> Field:
        """The workspace, and the folder outside to which each link leads."""
        self.outside.mkdir()
        for name, text in SECRET_FILES.items():
            (self.outside / name).write_text(text)
        for name in ("folder/data.txt", "data.txt", *LOOP_FILES):
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(LOOP_FILES.get(name, "inside"))
        for name in ("folder", ".roo", ".sidecar"):
            self.link(name).symlink_to("../outside")
        for name in ("data.txt", "TODO.md", "persistent-memory.md", "task_timing.tsv"):
            self.link(name).symlink_to(f"../outside/{name}")
        return self

    def run(self, agent: Agent, use: Use, until: Callable[[int], bool]) -> None:
        """Use a path until it is enough; outcomes may differ, leaks may not be."""
        mine = 0
        while not until(mine):
            mine += 1
            answer = use(agent, mine)
            self.refused += answer.refused
            self.leaks += SECRET in answer.everything or ONLY_OUTSIDE in answer.everything
        self.tries += mine

    def kept_secrets(self) -> list[str]:
        """Files of the workspace, backups among them, that hold what only lies outside."""
        found = (p for p in self.root.rglob("*") if p.is_file() and not p.is_symlink())
        own = (p for p in found if self.outside.resolve() not in p.resolve().parents)
        return [str(p) for p in own if SECRET.encode() in p.read_bytes()]

    def outside_now(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.outside.iterdir()}


@pytest.fixture
def ground(root: Path) -> Field:
    return Field(root).build()


@pytest.fixture(scope="module")
def total(figure: Callable[[str], None]) -> Iterator[Counter[str]]:
    """All tries, leaks and writes outside; said at the end."""
    count = Counter[str]()
    yield count
    figure(
        f"swap races: {count['leaks']} leaks and {count['written']} writes outside in "
        f"{count['tries']:,} tries ({count['refused']:,} refused) through {count['uses']}/"
        f"{2 * len(USES)} uses by 2 ways of opening; a naive reader "
        f"leaked in {count['leaked']:,} of {count['control']:,}"
    )
    assert count["tries"] >= TRIES_ASKED


def opened(root: Path, *, fast: bool) -> Agent:
    """An agent by one of the two ways of opening."""
    agent = Agent.at(root)
    space = agent.context.workspace
    tree = replace(space.files.tree, fast=fast)
    files, state = replace(space.files, tree=tree), replace(space.state, tree=tree)
    return Agent(replace(agent.context, workspace=replace(space, files=files, state=state)))


FAST = pytest.param(True, id="openat2", marks=pytest.mark.skipif(
    not directories.has_openat2(), reason="the kernel or the sandbox has no openat2"))  # fmt: skip


@pytest.mark.parametrize("fast", [FAST, pytest.param(False, id="walk")])
@pytest.mark.parametrize("name", USES, ids=lambda name: name.replace(" ", "_"))
def test_nothing_outside_is_told_or_written(
    name: str, fast: bool, ground: Field, total: Counter[str]
):
    what, use = USES[name]
    agent = opened(ground.root, fast=fast)
    agent.use("backup", "data.txt")
    agent.use("backup", "folder/data.txt")
    before = ground.outside_now()

    with exchanging(*ground.pairs(what)):
        ends = time.monotonic() + SECONDS
        ground.run(agent, use, lambda _: time.monotonic() > ends)

    total["tries"] += ground.tries
    total["refused"] += ground.refused
    total["uses"] += 1
    total["leaks"] += ground.leaks + len(ground.kept_secrets())
    total["written"] += ground.outside_now() != before
    assert (ground.leaks, ground.kept_secrets()) == (0, [])
    assert ground.outside_now() == before
    assert ground.tries


def naive(path: Path, root: str) -> bool:
    """Check the real path, then open: whether that read what is outside, and wrote there."""
    if not os.path.realpath(path).startswith(root):
        return False
    with path.open("r+b") as file:
        led = file.read().startswith(SECRET.encode())
        file.write(b"!")
    return led


def test_a_naive_reader_and_writer_are_led_outside(ground: Field, total: Counter[str]):
    """The tests above would notice: checking the real path before opening is not enough."""
    path = ground.root / "folder" / "data.txt"
    root = os.path.realpath(ground.root) + os.sep
    before = ground.outside_now()
    ends = time.monotonic() + CONTROL_PATIENCE
    tries = leaks = 0
    while time.monotonic() < ends and not leaks:
        with exchanging(*ground.pairs(FOLDER)):
            for _ in range(5000):
                tries += 1
                with suppress(OSError):
                    leaks += naive(path, root)
    total["control"], total["leaked"] = tries, leaks
    assert leaks
    assert ground.outside_now() != before
