"""Putting back what a failed run broke: the run's own changes, and nobody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.engine import checkpointing
from sidecar.services.context import system_clock
from tests.engine.agents import WRITER, Bench, git, repository, workspace

STOP = threading.Event()
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def bench(tmp_path: Path, *, with_git: bool, **settings: Any) -> Bench:
    root = workspace(tmp_path)
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "tool.sh").chmod(0o755)
    if with_git:
        repository(root)
        (root / "untracked.txt").write_text("not known to git\n")
    return Bench(root, tmp_path, rollback="on-failure", **settings)


FILES = {
    "src/app.py": "print('works')\n",
    "notes.txt": "first\n",
    "tool.sh": "#!/bin/sh\necho tool\n",
    "café ünï.txt": "accents\r\nand line ends\r\n",
}


def failed(at: Bench, between: Callable[[], None] = lambda: None, tries: int = 3) -> dict[str, Any]:
    """A run that fails for good, with something happening before its last step."""
    request = at.request()
    begun = at.execution.begin(request)
    outcomes = [at.execution.attempt(request, begun, n + 1, STOP) for n in range(tries)]
    between()
    return at.execution.finish(request, begun, outcomes)


def told(result: dict[str, Any], path: str) -> dict[str, Any]:
    return next(each for each in result["facts"]["rollback"] if each["path"] == path)


@NEEDS_GIT
def test_a_broken_file_is_restored_and_one_that_a_person_edited_meanwhile_is_kept(tmp_path):
    at = bench(tmp_path, with_git=True)
    at.tell(
        ["write", "src/app.py", "broken("],
        ["write", "notes.txt", "the run's\n"],
        ["write", "untracked.txt", "overwritten\n"],
        ["exit", 1],
    )
    result = failed(at, lambda: (at.root / "notes.txt").write_text("a person's\n") and None)
    assert (at.root / "src/app.py").read_text() == FILES["src/app.py"]
    assert (at.root / "untracked.txt").read_text() == "not known to git\n"
    assert (at.root / "notes.txt").read_text() == "a person's\n"
    assert told(result, "src/app.py")["done"] is True
    assert told(result, "notes.txt") == {
        "path": "notes.txt",
        "done": False,
        "told": "was changed since and is kept",
    }
    assert "notes.txt was changed since and is kept" in result["reason"]
    assert "notes.txt was changed since" in at.memory()


@NEEDS_GIT
def test_a_file_that_a_person_edited_between_two_attempts_is_kept(tmp_path):
    at = bench(tmp_path, with_git=True)
    request = at.request()
    begun = at.execution.begin(request)
    at.tell(["write", "notes.txt", "one\n"], ["exit", 1])
    first = at.execution.attempt(request, begun, 1, STOP)
    (at.root / "notes.txt").write_text("a person's\n")
    at.tell(["write", "notes.txt", "two\n"], ["write", "src/app.py", "x"], ["exit", 1])
    second = at.execution.attempt(request, begun, 2, STOP)
    result = at.execution.finish(request, begun, [first, second])
    assert (at.root / "notes.txt").read_text() == "two\n"
    assert told(result, "notes.txt")["told"] == "was changed between two attempts and is kept"
    assert (at.root / "src/app.py").read_text() == FILES["src/app.py"]


@contextmanager
def meanwhile(at: Bench, ready: Path, act: Callable[[], object]) -> Iterator[None]:
    """Do something once the agent has made a file, then let it go on by another."""

    def work() -> None:
        while not ready.exists():
            time.sleep(0.01)
        act()
        ready.with_suffix(".go").touch()

    # Who else wrote when is told by the machine's clock.
    at.having(clock=system_clock)
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(work)
        yield
        done.result()


@NEEDS_GIT
def test_a_file_that_is_typed_into_an_editor_while_the_run_works_is_kept(tmp_path):
    at, ready = bench(tmp_path, with_git=True), tmp_path / "ready"
    wait = [["write", str(ready), ""], ["wait for", str(ready.with_suffix(".go"))]]
    at.tell(["write", "notes.txt", "one\n"], *wait, ["exit", 1])

    def typed() -> None:
        at.context.workspace.overlays.put("notes.txt", "one\n", 7)

    with meanwhile(at, ready, typed):
        result = failed(at, tries=1)
    assert (at.root / "notes.txt").read_text() == "one\n"
    assert "in an editor" in told(result, "notes.txt")["told"]


@NEEDS_GIT
@pytest.mark.parametrize("how", [[], ["--solo"]])
def test_what_another_agent_changes_by_tools_while_the_run_works_is_not_the_runs(
    tmp_path: Path, how: list[str]
):
    """Both write by our tools, of one sidecar or of two; the run's agent carries the run's mark."""
    (tmp_path / "writer.py").write_text(WRITER)
    kept = {name: os.environ[name] for name in ("SIDECAR_HOME", "PYTHONPATH") if name in os.environ}
    at = bench(tmp_path, with_git=True, runner_environment=kept)
    writer, ready = [sys.executable, str(tmp_path / "writer.py")], tmp_path / "ready"
    wait = [["write", str(ready), ""], ["wait for", str(ready.with_suffix(".go"))]]
    at.tell(["run", *writer, "src/app.py", "broken(", *how], *wait, ["exit", 1])

    def other() -> None:
        subprocess.run([*writer, "notes.txt", "another's\n"], cwd=at.root, check=True, timeout=120)

    with meanwhile(at, ready, other):
        result = failed(at, tries=1)

    assert (at.root / "src/app.py").read_text() == FILES["src/app.py"]
    assert (at.root / "notes.txt").read_text() == "another's\n"
    assert told(result, "src/app.py")["done"] is True
    assert "was changed by somebody else" in told(result, "notes.txt")["told"]
    assert result["facts"]["changed"] == 1
    entries = at.context.workspace.journal.entries(tool="write_project_file")
    marks = {entry.path: entry.run for entry in entries}
    assert marks == {"src/app.py": at.request()["run_id"], "notes.txt": ""}


@NEEDS_GIT
def test_created_files_go_deleted_ones_come_back_and_bytes_and_permissions_are_exact(tmp_path):
    at = bench(tmp_path, with_git=True)
    at.tell(
        ["write", "new.txt", "made by the run\n"],
        ["remove", "tool.sh"],
        ["remove", "café ünï.txt"],
        ["link", "escape", "/etc/passwd"],
        ["exit", 1],
    )
    before = {path: (at.root / path).read_bytes() for path in ("tool.sh", "café ünï.txt")}
    result = failed(at, tries=1)
    assert not (at.root / "new.txt").exists()
    assert {path: (at.root / path).read_bytes() for path in before} == before
    assert os.access(at.root / "tool.sh", os.X_OK)
    assert told(result, "escape")["told"] == "is or was a link and is kept"
    backup = at.context.workspace.backups.list("new.txt")[0]
    assert at.context.workspace.backups.read(backup) == b"made by the run\n"


@NEEDS_GIT
def test_the_checkpoint_leaves_index_branches_and_work_tree_as_they_were(tmp_path):
    at = bench(tmp_path, with_git=True)
    (at.root / "notes.txt").write_text("staged\n")
    git(at.root, "add", "notes.txt")
    (at.root / "notes.txt").write_text("and changed again\n")
    index = (at.root / ".git" / "index").read_bytes()
    asked = ("status", "--porcelain=v2", "--branch", "--untracked-files=all")
    before = git(at.root, *asked), git(at.root, "for-each-ref", "refs/heads")
    index = (at.root / ".git" / "index").read_bytes()
    begun = at.execution.begin(at.request())
    assert (at.root / ".git" / "index").read_bytes() == index
    (at.root / "task_timing.tsv").write_text(git(at.root, "show", "HEAD:task_timing.tsv"))
    assert (git(at.root, *asked), git(at.root, "for-each-ref", "refs/heads")) == before
    reference = f"refs/sidecar/checkpoints/{begun['task_id']}"
    assert git(at.root, "show", f"{reference}:notes.txt") == "and changed again\n"
    assert git(at.root, "show", f"{reference}:untracked.txt") == "not known to git\n"
    listed = git(at.root, "ls-tree", "-r", reference)
    assert "100755" in next(line for line in listed.splitlines() if line.endswith("tool.sh"))
    git(at.root, "fsck", "--strict")


@NEEDS_GIT
def test_nothing_that_a_repository_configures_is_executed_by_a_checkpoint(tmp_path):
    """Filters, hooks, monitors, diff drivers, pagers, remotes: none of 14 leaves a mark."""
    at = bench(tmp_path, with_git=True)
    mark = tmp_path / "executed"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\necho \"$0 $@\" >> '{mark}'\ncat\n")
    script.chmod(0o755)
    (at.root / ".gitattributes").write_text("* filter=trap diff=trap merge=trap\n")
    for key in (
        *("filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "diff.trap.command"),
        *("diff.trap.textconv", "core.fsmonitor", "core.pager", "core.sshCommand"),
        "diff.external",
    ):
        git(at.root, "config", key, str(script))
    git(at.root, "config", "filter.trap.required", "true")
    # A partial clone would fetch what it lacks, by whatever its remote names.
    git(at.root, "config", "core.repositoryformatversion", "1")
    git(at.root, "config", "extensions.partialClone", "origin")
    git(at.root, "config", "remote.origin.promisor", "true")
    git(at.root, "config", "remote.origin.url", f"ext::{script} %S")
    git(at.root, "config", "protocol.ext.allow", "always")
    hooks = at.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-index-change", "pre-commit", "post-commit"):
        shutil.copy(script, hooks / name)
    at.tell(["write", "src/app.py", "broken("], ["exit", 1])
    failed(at)
    assert (at.root / "src/app.py").read_text() == FILES["src/app.py"]
    assert not mark.exists(), mark.read_text()
    subprocess.run(["git", "add", "-A"], cwd=at.root, capture_output=True, check=False, timeout=60)
    assert "trap.sh" in mark.read_text(), "git as it is does execute them"


@NEEDS_GIT
def test_old_checkpoints_and_their_references_are_let_go(tmp_path):
    at = bench(tmp_path, with_git=True)
    for number in range(checkpointing.KEPT + 3):
        at.execution.begin(at.request(run_id=f"run {number}"))
    refs = git(at.root, "for-each-ref", "refs/sidecar").splitlines()
    assert len(refs) == checkpointing.KEPT


@NEEDS_GIT
def test_without_trust_no_git_is_asked_and_the_state_files_are_copied(tmp_path):
    at = bench(tmp_path, with_git=True)
    at.having(code_allowed=False)
    at.execution.begin(at.request())
    assert git(at.root, "for-each-ref", "refs/sidecar") == ""


def test_without_git_the_state_files_are_restored_and_others_are_told(tmp_path):
    at = bench(tmp_path, with_git=False)
    modes = (at.root / ".roomodes").read_text()
    at.tell(["write", ".roomodes", "{"], ["write", "notes.txt", "x"], ["exit", 1])
    result = failed(at)
    assert (at.root / ".roomodes").read_text() == modes
    assert told(result, "notes.txt")["told"] == "has no backup of its earlier content"


def test_the_logs_of_what_happened_are_never_taken_back(tmp_path):
    at = bench(tmp_path, with_git=False)
    at.tell(["write", "persistent-memory.md", at.memory() + "\n- learned\n"], ["exit", 1])
    result = failed(at)
    assert "- learned" in at.memory()
    assert "log of what happened" in told(result, "persistent-memory.md")["told"]


@NEEDS_GIT
def test_a_successful_run_is_not_rolled_back(tmp_path):
    at = bench(tmp_path, with_git=True)
    at.tell(["write", "src/app.py", "better\n"])
    result = failed(at, tries=1)
    assert result["state"] == "succeeded"
    assert (at.root / "src/app.py").read_text() == "better\n"
    assert "rollback" not in result["facts"]
