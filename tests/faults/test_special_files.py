"""Pipes, devices, sockets, hard links, odd names, secrets: every tool answers in a sentence."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.agent import PATH_TOOLS, Agent, Answer

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform == "win32", reason="special files of POSIX"),
]

# How long an answer may take before it counts as none; it comes within milliseconds.
AT_ONCE = 20.0
SENTENCE = re.compile(r"E_[A-Z_]+: [A-Z`].*[.?]", re.DOTALL)
SECRET = "OUTSIDE-SECRET"
FOLDER_TOOLS = {"list", "search", "validate"}
LOOP_FILES = (".roomodes", ".roo/schedules.json", "TODO.md", "persistent-memory.md",
              "task_timing.tsv", ".gitignore", "pyproject.toml")  # fmt: skip


def at_once(work: Callable[[], Answer]) -> Answer:
    """The answer of a call that must not wait for anybody."""
    found: list[Answer] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(AT_ONCE)
    assert found, "no answer"
    return found[0]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path has a hundred characters at most
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero never ends
    except PermissionError:
        pytest.skip("only root may make a device")


SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": pipe, "socket": listening, "device": device,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to the own process": lambda path: path.symlink_to("/proc/self/environ"),
    "link to an open file": lambda path: path.symlink_to("/proc/self/fd/0"),
    "link to itself": lambda path: path.symlink_to(path.name),
}  # fmt: skip


@pytest.mark.parametrize("way", PATH_TOOLS)
@pytest.mark.parametrize("kind", SPECIAL, ids=lambda kind: kind.replace(" ", "_"))
def test_a_special_file_is_refused_in_a_sentence_at_once(agent: Agent, kind: str, way: str):
    SPECIAL[kind](agent.root / "special")

    answer = at_once(lambda: agent.use(way, "special"))

    if way == "validate" and not answer.refused:
        assert not answer.told["success"], answer.text
        return
    assert answer.refused, answer.text
    assert SENTENCE.fullmatch(answer.text), answer.text


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("path", LOOP_FILES)
def test_a_special_file_in_a_loop_files_place_ends_no_tool(agent: Agent, path: str, kind: str):
    (agent.root / path).parent.mkdir(exist_ok=True)
    SPECIAL[kind](agent.root / path)
    calls: dict[str, dict[str, Any]] = {
        "get_schedule_status": {}, "get_todo_status": {}, "get_persistent_memory": {},
        "get_time_tracking": {}, "get_mode_capabilities": {}, "get_system_status": {},
        "run_validation": {}, "sync_environment": {}, "list_project_structure": {},
        "search_in_files": {"pattern": "x"}, "switch_mode": {"target_mode": "code"},
        "track_task_time": {"task_description": "x"}, "delegate_task": {"task_description": "x"},
        "update_persistent_memory": {"section": "system_updates", "content": "x"},
        "manage_schedules": {"action": "delete", "schedule_id": "1"},
        "error_recovery": {"operation": "x", "error_context": {}},
    }  # fmt: skip
    for name, arguments in calls.items():
        answer = at_once(lambda name=name, arguments=arguments: agent.call(name, **arguments))
        assert not answer.refused or SENTENCE.fullmatch(answer.text), (name, answer.text)
        assert str(agent.root) not in answer.everything
    assert not stat.S_ISREG((agent.root / path).lstat().st_mode)


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder"])
def test_the_harness_refuses_a_project_file_that_is_none(agent: Agent, kind: str):
    """A clone may hold a link to an endless device; reading it would fill the memory."""
    trap = agent.root / "pyproject.toml"
    (SPECIAL | {"folder": Path.mkdir})[kind](trap)

    answer = at_once(lambda: agent.call("run_validation", validation_type="syntax"))

    assert answer.code == "E_INVALID", answer.text
    assert "pyproject.toml cannot be read" in answer.text
    assert str(agent.root) not in answer.everything


def test_a_listing_names_special_files_and_a_search_passes_them_by(agent: Agent):
    for kind in ("pipe", "socket"):
        SPECIAL[kind](agent.root / kind)
    agent.put("a.txt", "needle")

    listed = at_once(lambda: agent.call("list_project_structure")).told["entries"]
    found = at_once(lambda: agent.call("search_in_files", pattern="needle|.")).told

    assert [(e["path"], e["type"]) for e in listed] == [
        ("a.txt", "file"), ("pipe", "other"), ("socket", "other"),
    ]  # fmt: skip
    assert {match["file"] for match in found["matches"]} == {"a.txt"}


@pytest.mark.parametrize("way", ["write", "append", "restore"])
def test_a_hard_link_is_never_written_through(agent: Agent, way: str):
    """Its other name keeps its bytes: the file here becomes one of its own."""
    elsewhere = agent.root.parent / "elsewhere.txt"
    agent.put("linked.txt", "earlier")
    agent.use("backup", "linked.txt")
    (agent.root / "linked.txt").unlink()
    elsewhere.write_text(SECRET)
    os.link(elsewhere, agent.root / "linked.txt")

    assert not agent.use(way, "linked.txt").refused

    assert elsewhere.read_text() == SECRET
    assert agent.get("linked.txt") != SECRET.encode()


@pytest.mark.parametrize("path", [".roo/schedules.json", "persistent-memory.md", "task_timing.tsv"])
def test_a_loop_file_with_a_second_name_elsewhere_leaves_that_alone(agent: Agent, path: str):
    elsewhere = agent.root.parent / "elsewhere"
    elsewhere.write_text("")
    (agent.root / ".roo").mkdir()
    os.link(elsewhere, agent.root / path)

    agent.call("track_task_time", task_description="x")
    agent.call("update_persistent_memory", section="system_updates", content="x")
    agent.call("sync_environment")

    assert elsewhere.read_text() == ""


PROTECTED = (
    ".git/hooks/pre-commit", ".git/config", ".GIT/hooks/pre-commit", "sub/.git/hooks/x", ".git",
    ".env", ".ENV", ".env.local", "sub/.env", "id_rsa", "keys/server.pem", ".ssh/config",
    ".sidecar/backups/x", ".sidecar/state", ".SIDECAR/x", ".sidecar", "link-to-env", "\uff0eenv",
    ".g\u0131t/hooks/x" if "\u0131".casefold() == "i" else ".\u200bgit/x", ".env ", ".env.",
    ".e\u200bnv", ".g\u200dit/hooks/x", "GIT~1/hooks/x", ".git::$INDEX_ALLOCATION/x",
)  # fmt: skip


@pytest.mark.parametrize("path", PROTECTED, ids=ascii)
def test_secrets_git_and_our_own_state_are_closed_to_every_tool(agent: Agent, path: str):
    for name in (".git/hooks/pre-commit.sample", ".git/config", ".env", "id_rsa", "sub/.env"):
        agent.put(name, SECRET)
    (agent.root / "link-to-env").symlink_to(".env")
    agent.put("a.txt", "x")
    agent.use("backup", "a.txt")
    before = sorted(str(p) for p in agent.root.rglob("*"))

    for way in PATH_TOOLS:
        answer = agent.use(way, path)
        assert answer.code == "E_PROTECTED", (way, answer.text)
        assert SENTENCE.fullmatch(answer.text)
        assert SECRET not in answer.everything
    assert sorted(str(p) for p in agent.root.rglob("*")) == before


@pytest.mark.parametrize("hidden", [True, False])
def test_secrets_are_neither_listed_nor_found(agent: Agent, hidden: bool):
    for name in (".git/config", ".env", "id_rsa", "sub/.env.local", "a/server.key"):
        agent.put(name, SECRET)

    listed = agent.call("list_project_structure", include_hidden=hidden, gitignore=False)
    names = {entry["path"] for entry in listed.told["entries"]}
    found = agent.call("search_in_files", pattern=SECRET, file_pattern="**")

    assert names <= {"sub", "a", ".sidecar"}
    assert found.told["total_matches"] == 0


def test_composed_and_decomposed_names_are_two_files(agent: Agent):
    composed, apart = "caf\u00e9.txt", unicodedata.normalize("NFD", "caf\u00e9.txt")
    agent.call("write_project_file", file_path=composed, content="one")
    agent.call("write_project_file", file_path=apart, content="two")
    if len(list(agent.root.glob("caf*"))) < 2:
        pytest.skip("this file system folds names together")

    assert agent.get(composed) == b"one"
    assert agent.use("restore", composed).refused  # a backup of the other is none of it
    agent.use("backup", apart)
    assert agent.call("restore_file", file_path=composed, list=True).told["total"] == 0


@pytest.mark.parametrize(
    "path", ["x" * 256, "\u754c" * 86, "/".join(["x" * 250] * 17), "a/" * 2100 + "f"], ids=len
)
@pytest.mark.parametrize("way", PATH_TOOLS)
def test_a_name_too_long_is_refused_in_a_sentence(agent: Agent, way: str, path: str):
    answer = agent.use(way, path)

    assert answer.code == "E_INVALID"
    assert SENTENCE.fullmatch(answer.text)
    assert len(answer.text) < 500


@pytest.mark.parametrize("group", ["../outside", "/tmp/outside", "a/../../outside", "~/x", "a\0b"])
@pytest.mark.parametrize("argument", ["backup_name", "backup_directory"])
def test_a_backups_name_cannot_leave_the_backup_folder(agent: Agent, argument: str, group: str):
    agent.put("a.txt", "x")
    before = sorted(str(p) for p in agent.root.parent.rglob("*"))

    answer = agent.call("backup_file", file_path="a.txt", **{argument: group})

    assert answer.code in {"E_PATH_OUTSIDE", "E_INVALID"}
    assert sorted(str(p) for p in agent.root.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "source", ["../secret.txt", "{top}/secret.txt", "b.txt", "link-out", ".env", "a\0b"]
)
def test_a_restore_takes_only_backups_of_that_file(agent: Agent, source: str):
    top = agent.root.parent
    (top / "secret.txt").write_text(SECRET)
    (agent.root / "link-out").symlink_to(top / "secret.txt")
    for name in ("a.txt", "b.txt", ".env"):
        agent.put(name, SECRET if name != "a.txt" else "mine")

    answer = agent.call("restore_file", file_path="a.txt", backup_path=source.format(top=top))

    assert answer.refused
    assert SENTENCE.fullmatch(answer.text)
    assert agent.get("a.txt") == b"mine"


GLOBS = ["../*", "/etc/*", "**/../../*", "../outside/**", "~/*", "a\0b", "{top}/**", "\\..\\*"]


@pytest.mark.parametrize("pattern", GLOBS, ids=ascii)
def test_a_glob_cannot_climb(agent: Agent, pattern: str):
    outside = agent.root.parent / "outside"
    outside.mkdir()
    (outside / "only-outside.txt").write_text(SECRET)
    agent.put("a.txt", "x")
    glob = pattern.format(top=agent.root.parent)

    for answer in (
        agent.call("list_project_structure", file_pattern=glob),
        agent.call("list_project_structure", exclude_patterns=[glob]),
        agent.call("search_in_files", pattern=".", file_pattern=glob),
    ):
        assert "only-outside" not in answer.everything
        assert SECRET not in answer.everything


NAME = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)
ODD = st.sampled_from(
    ["..", ".", "~", "*", "-e", "--help", "\u202e", "\u2025", "\uff0f", "a\u0301", "..\u200b",
     "C:", "con", "$HOME", "`id`", "%2e%2e", "\\..", "\ud800", "a\nb", "\x1b[2J", ".env", ".git"]
)  # fmt: skip


@settings(suppress_health_check=[*HealthCheck])
@given(parts=st.lists(NAME | ODD, min_size=1, max_size=5), way=st.sampled_from(list(PATH_TOOLS)))
def test_no_spelling_of_a_path_leads_outside(agent: Agent, parts: list[str], way: str):
    secret = agent.root.parent / "secret.txt"
    secret.write_text(SECRET)
    known = {path.name for path in agent.root.parent.iterdir()}

    answer = agent.use(way, "/".join(parts))

    assert not answer.refused or SENTENCE.fullmatch(answer.text), answer.text
    assert SECRET not in answer.everything
    assert secret.read_text() == SECRET
    assert {path.name for path in agent.root.parent.iterdir()} == known
