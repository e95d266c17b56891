"""Group commit: waiting changes of one file are made together, in order, each with its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import journal
from sidecar.workspace.committing import Queue
from sidecar.workspace.files import Content
from sidecar.workspace.workspace import Workspace


@dataclass(frozen=True)
class Wish:
    """A number of one family."""

    number: int
    family: str = "a"


class Blocked:
    """Work that waits for permission the first time, and notes its batches."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, wishes: Sequence[Wish]) -> list[int | BaseException]:
        self.batches.append([wish.number for wish in wishes])
        if len(self.batches) == 1:
            assert self.go.wait(20)
        return [ValueError(wish.number) if wish.number == 13 else wish.number for wish in wishes]


def in_order(queue: Queue[Wish, int], work: Blocked, wishes: list[Wish]) -> dict[int, object]:
    """Let threads come one after another while the first is at work; what each got."""
    answers: dict[int, object] = {}

    def ask(wish: Wish) -> None:
        try:
            answers[wish.number] = queue.done(wish, work)
        except ValueError as error:
            answers[wish.number] = error

    threads = []
    for place, wish in enumerate(wishes):
        threads.append(threading.Thread(target=ask, args=(wish,)))
        threads[-1].start()
        while len(queue._waiting) < place or not work.batches:
            time.sleep(0.001)
    work.go.set()
    for thread in threads:
        thread.join(20)
    return answers


def test_what_waits_is_done_together_and_each_thread_gets_its_own_answer():
    work = Blocked()

    answers = in_order(Queue(), work, [Wish(number) for number in (1, 2, 13, 4)])

    assert work.batches == [[1], [2, 13, 4]]
    assert isinstance(answers.pop(13), ValueError)
    assert answers == {1: 1, 2: 2, 4: 4}


def test_only_neighbours_of_one_family_go_together_so_that_the_order_stays():
    work = Blocked()

    in_order(Queue(), work, [Wish(0), Wish(1), Wish(2), Wish(3, "b"), Wish(4)])

    assert work.batches == [[0], [1, 2], [3], [4]]


def test_a_wait_that_is_given_up_leaves_the_queue():
    queue: Queue[Wish, int] = Queue()
    work = Blocked()
    first = threading.Thread(target=queue.done, args=(Wish(1), work))
    first.start()
    while not work.batches:
        time.sleep(0.001)

    with pytest.raises(SidecarError) as refused:
        queue.done(Wish(2), work, 0.01)
    work.go.set()
    first.join(20)

    assert refused.value.code is ErrorCode.BUSY
    assert queue.done(Wish(3), work) == 3
    assert work.batches == [[1], [3]]


def test_a_work_that_breaks_down_leaves_nobody_waiting():
    queue: Queue[Wish, int] = Queue()

    def broken(_: Sequence[Wish]) -> list[int | BaseException]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        queue.done(Wish(1), broken)

    assert queue.done(Wish(2), lambda wishes: [wish.number for wish in wishes]) == 2


def together(count: int, work: Callable[[int], None]) -> None:
    """Many threads at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_changes_of_many_threads_are_all_made_and_journaled_with_their_own_origin(
    workspace: Workspace, root: Path
):
    def work(number: int) -> None:
        with journal.origin(tool=f"t{number}"):
            for turn in range(10):
                line = f"{number}.{turn}\n".encode()
                workspace.files.append("log.txt", line)
                workspace.files.update("doc.txt", lambda c, n=line: (c.data if c else b"") + n)

    together(11, work)

    wanted = {f"{number}.{turn}" for number in range(11) for turn in range(10)}
    for name in ("log.txt", "doc.txt"):
        lines = (root / name).read_text().splitlines()
        assert len(lines) == len(wanted)
        assert set(lines) == wanted
    chain = workspace.journal.entries(path="doc.txt")
    assert len(chain) == len(wanted)
    assert all(a.after == b.before for a, b in pairwise(chain))
    assert {entry.tool for entry in chain} == {f"t{number}" for number in range(11)}
    kept = {backup.sha256 for backup in workspace.backups.list("doc.txt")}
    assert {entry.before for entry in chain[-20:]} <= kept


def test_a_change_that_fails_hurts_only_itself(workspace: Workspace, root: Path):
    refused: list[int] = []

    def work(number: int) -> None:
        def change(current: Content | None) -> bytes:
            if number % 3 == 0:
                raise SidecarError(ErrorCode.INVALID, "not this one")
            return (current.data if current else b"") + b"%d\n" % number

        try:
            workspace.files.update("doc.txt", change)
        except SidecarError:
            refused.append(number)

    together(12, work)

    assert sorted(refused) == [0, 3, 6, 9]
    found = sorted(map(int, (root / "doc.txt").read_text().split()))
    assert found == [n for n in range(12) if n % 3]
