"""One watcher for all subscribers: each is told of its own files, once, and of nothing earlier."""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver

from sidecar.workspace.changes import Changes, Look
from sidecar.workspace.directories import Tree, has_openat2
from sidecar.workspace.overlays import Overlays
from sidecar.workspace.watcher import Watcher
from sidecar.workspace.workspace import Workspace

PATIENCE, QUIET = 15.0, 0.4
TODO = frozenset({"TODO.md"})
Told = queue.Queue[frozenset[str]]


@pytest.fixture
def overlays() -> Overlays:
    return Overlays()


@pytest.fixture
def changes(root: Path, overlays: Overlays) -> Iterator[Changes]:
    """What events tell, and no slow look."""
    (root / "TODO.md").write_text("one")
    found = watched(root, overlays)
    yield found
    found.close()


def watched(root: Path, overlays: Overlays, **options: float) -> Changes:
    make_watcher = partial(Watcher, **{"poll_seconds": 3600.0, **options})
    return Changes(Tree(root, fast=has_openat2()), overlays, make_watcher)


def observers() -> set[threading.Thread]:
    """The observers of this process."""
    return {thread for thread in threading.enumerate() if isinstance(thread, BaseObserver)}


@pytest.fixture
def others() -> set[threading.Thread]:
    """Observers that somebody else has left behind, as a server whose loop was closed."""
    return observers()


def no_thread_left(before: int) -> None:
    """No more threads than before, once those that have just told something are over."""
    end = time.monotonic() + PATIENCE
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() <= before


def quiet(told: Told) -> None:
    with pytest.raises(queue.Empty):
        told.get(timeout=QUIET)


def save(path: Path, text: str) -> None:
    """As most tools: a temporary file renamed over the old one."""
    beside = path.with_name(f".{path.name}.{threading.get_ident()}")
    beside.write_text(text)
    beside.replace(path)


class ByHand:
    """A watcher whose looks happen when a test says so, for an order that time would not give."""

    def __init__(self) -> None:
        self.look: Look = lambda _: None

    def made(self, _root: Path, look: Look) -> ByHand:
        self.look = look
        return self

    def start(self) -> None: ...

    def follow(self, paths: frozenset[str]) -> None: ...

    def touch(self, paths: list[str]) -> None: ...

    def stop(self) -> None: ...


def test_all_subscribers_share_one_observer_which_lives_as_long_as_the_last_of_them(
    changes, others
):
    before = threading.active_count()
    assert observers() == others
    found = [changes.subscribe([path], print) for path in ("TODO.md", ".roomodes", "TODO.md")]
    assert len(observers() - others) == 1
    for each in found[:2]:
        each.close()
    assert len(observers() - others) == 1
    found[2].close()
    no_thread_left(before)


def test_each_is_told_of_its_own_files_only(changes, root: Path):
    plan, modes = Told(), Told()
    changes.subscribe(["TODO.md"], plan.put)
    changes.subscribe([".roomodes"], modes.put)
    save(root / "TODO.md", "two")
    assert plan.get(timeout=PATIENCE) == TODO
    save(root / ".roomodes", "customModes: []")
    assert modes.get(timeout=PATIENCE) == {".roomodes"}
    quiet(plan)
    quiet(modes)


def test_who_comes_later_is_not_told_of_what_it_has_seen_and_the_others_are(root: Path, overlays):
    file, hand = root / "TODO.md", ByHand()
    file.write_text("one")
    changes = Changes(Tree(root, fast=has_openat2()), overlays, hand.made)
    early, late = Told(), Told()
    changes.subscribe(["TODO.md"], early.put)
    file.write_text("two")
    changes.subscribe(["TODO.md"], late.put)
    hand.look(TODO)
    assert early.get(timeout=PATIENCE) == TODO
    quiet(late)
    file.write_text("three")
    hand.look(TODO)
    assert early.get(timeout=PATIENCE) == late.get(timeout=PATIENCE) == TODO
    file.write_text("two")
    hand.look(TODO)
    assert early.get(timeout=PATIENCE) == late.get(timeout=PATIENCE) == TODO
    hand.look(TODO)
    quiet(early)
    assert late.empty()
    changes.close()


def test_what_is_found_in_one_look_is_told_in_one_call(root: Path, overlays: Overlays):
    names = [f"file{number}" for number in range(40)]
    hand, told = ByHand(), Told()
    changes = Changes(Tree(root, fast=has_openat2()), overlays, hand.made)
    changes.subscribe(names, told.put)
    for name in names:
        (root / name).write_text("new")
    hand.look(frozenset(names))
    assert told.get(timeout=PATIENCE) == set(names)
    quiet(told)
    changes.close()


def test_one_that_is_slow_keeps_nobody_waiting_and_is_told_of_the_rest_at_once(changes, root: Path):
    slow, quick, go_on = Told(), Told(), threading.Event()
    turn = threading.Lock()
    twice: list[frozenset[str]] = []

    def on_change(paths: frozenset[str]) -> None:
        if not turn.acquire(blocking=False):
            twice.append(paths)
        slow.put(paths)
        go_on.wait(PATIENCE)
        turn.release()

    changes.subscribe(["TODO.md", ".roomodes"], on_change)
    changes.subscribe(["TODO.md", ".roomodes"], quick.put)
    save(root / "TODO.md", "two")
    assert slow.get(timeout=PATIENCE) == TODO
    assert quick.get(timeout=PATIENCE) == TODO
    save(root / "TODO.md", "three")
    assert quick.get(timeout=PATIENCE) == TODO
    save(root / ".roomodes", "customModes: []")
    assert quick.get(timeout=PATIENCE) == {".roomodes"}
    assert slow.empty()
    go_on.set()
    assert slow.get(timeout=PATIENCE) == {"TODO.md", ".roomodes"}
    quiet(slow)
    assert twice == []


def test_closing_from_within_a_call_ends_it_and_from_outside_waits_for_it(
    changes, root: Path, others
):
    told, other, go_on = Told(), Told(), threading.Event()

    def once(paths: frozenset[str]) -> None:
        inner.close()
        told.put(paths)

    def slow(paths: frozenset[str]) -> None:
        other.put(paths)
        go_on.wait(PATIENCE)
        ended.set()

    ended = threading.Event()
    inner = changes.subscribe(["TODO.md"], once)
    outer = changes.subscribe(["TODO.md"], slow)
    save(root / "TODO.md", "two")
    assert told.get(timeout=PATIENCE) == other.get(timeout=PATIENCE) == TODO
    save(root / "TODO.md", "three")
    threading.Timer(QUIET, go_on.set).start()
    outer.close()
    assert ended.is_set()
    quiet(told)
    assert other.empty()
    assert observers() == others


def test_the_last_one_can_close_itself_within_its_call(changes, root: Path, others):
    told = Told()

    def once(paths: frozenset[str]) -> None:
        only.close()
        told.put(paths)

    only = changes.subscribe(["TODO.md"], once)
    save(root / "TODO.md", "two")
    assert told.get(timeout=PATIENCE) == TODO
    assert observers() == others


def test_a_new_subscribers_folder_is_watched_and_watched_no_more_when_it_goes(changes, root: Path):
    (root / "inner").mkdir()
    (root / "inner" / "file").write_text("one")
    plan, inner = Told(), Told()
    changes.subscribe(["TODO.md"], plan.put)
    before = threading.active_count()
    for text in ("two", "three"):
        found = changes.subscribe(["inner/file"], inner.put)
        save(root / "inner" / "file", text)
        assert inner.get(timeout=PATIENCE) == {"inner/file"}
        found.close()
        no_thread_left(before)
    save(root / "TODO.md", "two")
    assert plan.get(timeout=PATIENCE) == TODO


def test_a_path_outside_is_refused_and_nothing_is_watched(changes, others):
    with pytest.raises(Exception, match="outside"):
        changes.subscribe(["../secret"], print)
    assert observers() == others


def test_an_unsaved_text_is_the_files_content_for_those_who_prefer_the_editors(
    changes, root: Path, overlays: Overlays
):
    disk, shown = Told(), Told()
    changes.subscribe(["TODO.md"], disk.put)
    changes.subscribe(["TODO.md"], shown.put, prefer_editor=True)
    overlays.put("TODO.md", "one", 1)
    overlays.put(".roomodes", "other", 1)
    quiet(shown)
    overlays.put("TODO.md", "typed", 2)
    assert shown.get(timeout=PATIENCE) == TODO
    overlays.put("TODO.md", "typed", 3)
    quiet(shown)
    assert disk.empty()
    # The same text, but now it is from the disk, and answers say where a text is from.
    save(root / "TODO.md", "typed")
    assert shown.get(timeout=PATIENCE) == disk.get(timeout=PATIENCE) == TODO
    overlays.put("TODO.md", "more", 4)
    assert shown.get(timeout=PATIENCE) == TODO
    overlays.remove("TODO.md")
    assert shown.get(timeout=PATIENCE) == TODO
    quiet(shown)
    assert disk.empty()


@contextmanager
def passing(changes: Changes, names: list[str]) -> Iterator[None]:
    """Others that subscribe and close all the time, one for each file."""
    done = threading.Event()

    def come_and_go(name: str) -> None:
        while not done.is_set():
            changes.subscribe([name], lambda _: None, prefer_editor=True).close()

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in names]
    for each in threads:
        each.start()
    yield
    done.set()
    for each in threads:
        each.join()


class Reader:
    """Reads what it is told of, as tools do, and keeps the last content of each file."""

    def __init__(self, workspace: Workspace, names: list[str], *, prefer_editor: bool) -> None:
        self.texts: dict[str, str] = {}
        self._workspace = workspace
        self._prefer_editor = prefer_editor
        changes = workspace.changes
        self.subscription = changes.subscribe(names, self._read, prefer_editor=prefer_editor)

    def _read(self, paths: frozenset[str]) -> None:
        for path in paths:
            read = self._workspace.files.read(path, prefer_editor=self._prefer_editor)
            self.texts[path] = read.text


def test_those_who_stay_know_the_last_content_though_many_come_and_go(
    workspace: Workspace, root: Path
):
    before, names = threading.active_count(), ["TODO.md", "second", "third"]
    readers = []
    with passing(workspace.changes, names):
        for number in range(6):
            for name in names:
                save(root / name, f"{number}")
            readers.append(Reader(workspace, names, prefer_editor=number % 2 == 1))
            workspace.overlays.put("second", f"typed {number}")
        for name in names:
            save(root / name, "last")
        workspace.overlays.put("second", "last typed")
        saved = dict.fromkeys(names, "last")
        wanted = [saved, {**saved, "second": "last typed"}] * 3
        end = time.monotonic() + PATIENCE
        while [reader.texts for reader in readers] != wanted and time.monotonic() < end:
            time.sleep(0.02)
    assert [reader.texts for reader in readers] == wanted
    workspace.close()
    no_thread_left(before)


def test_another_folder_in_the_workspaces_place_is_watched(root: Path, overlays: Overlays):
    (root / "TODO.md").write_text("one")
    changes = watched(root, overlays, poll_seconds=0.05)
    told = Told()
    changes.subscribe(["TODO.md"], told.put)
    moved = root.rename(root.with_name("moved"))
    assert told.get(timeout=PATIENCE) == TODO
    save(moved / "TODO.md", "elsewhere")
    quiet(told)
    root.mkdir()
    save(root / "TODO.md", "one")
    assert told.get(timeout=PATIENCE) == TODO
    changes.close()


def test_closing_a_workspace_ends_all_subscriptions_and_it_can_be_used_again(
    workspace: Workspace, root: Path
):
    before, told = threading.active_count(), Told()
    workspace.changes.subscribe(["TODO.md"], told.put)
    workspace.changes.subscribe([".roomodes"], told.put)
    workspace.close()
    no_thread_left(before)
    workspace.changes.subscribe(["TODO.md"], told.put)
    save(root / "TODO.md", "new")
    assert told.get(timeout=PATIENCE) == TODO
    quiet(told)
    workspace.close()


def test_what_watches_nothing_does_not_load_what_watching_needs():
    loaded = "import sys, sidecar.workspace.workspace; print('watchdog' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    assert told.stdout == b"False\n"


LIMITED = """
import logging, queue, sys
from pathlib import Path
from sidecar.workspace.workspace import Workspace
logging.basicConfig(format="%(message)s", stream=sys.stdout)
root, told = Path(sys.argv[1]), queue.Queue()
workspace = Workspace.open(root)
workspace.changes.subscribe(["TODO.md"], told.put)
workspace.changes.subscribe(["a/file", "b/file"], told.put)
for name in ("TODO.md", "b/file"):
    (root / name).write_text("new")
    print(sorted(told.get(timeout=20)))
workspace.close()
"""


@pytest.mark.parametrize(
    ("name", "most", "reason"),
    [
        ("max_inotify_instances", 0, "inotify instance limit reached"),
        ("max_inotify_watches", 2, "inotify watch limit reached"),
    ],
)
def test_where_the_system_has_no_watches_left_files_are_looked_at(root: Path, name, most, reason):
    """The kernel's own limits, lowered for a user namespace of the child's."""
    unshare = shutil.which("unshare")
    limit = Path(f"/proc/sys/user/{name}")
    script = f'echo {most} > {limit} && exec "$@"'
    inside = [str(unshare), "-Ur", "sh", "-c", script, "sh"]
    if (
        not unshare
        or subprocess.run([*inside, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("no user namespace can be made here")
    for folder in ("a", "b"):
        (root / folder).mkdir()
    command = [*inside, sys.executable, "-c", LIMITED, str(root)]
    told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    warning, *news = told.stdout.splitlines()
    assert reason in warning, told
    assert news == ["['TODO.md']", "['b/file']"], told
