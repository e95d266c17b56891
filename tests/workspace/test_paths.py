"""Which paths may be named, and what is really opened beneath the root."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import directories, paths
from sidecar.workspace.directories import Tree
from sidecar.workspace.files import Files
from sidecar.workspace.paths import Globs, Policy
from sidecar.workspace.workspace import Workspace

OUTSIDE, INVALID = ErrorCode.PATH_OUTSIDE, ErrorCode.INVALID
PROTECTED, NOT_FOUND = ErrorCode.PROTECTED, ErrorCode.NOT_FOUND

REFUSED = {
    "..": OUTSIDE,
    "../secret.txt": OUTSIDE,
    "../ws-evil/secret.txt": OUTSIDE,
    "a/../../secret.txt": OUTSIDE,
    "a/../a.txt": OUTSIDE,
    "./../secret.txt": OUTSIDE,
    "..\\secret.txt": OUTSIDE,
    "a\\b.txt": INVALID,
    "/etc/passwd": OUTSIDE,
    "//etc/passwd": OUTSIDE,
    "~": OUTSIDE,
    "~/.ssh/config": OUTSIDE,
    "C:\\Windows\\win.ini": OUTSIDE,
    "c:secret.txt": OUTSIDE,
    "\\\\server\\share": OUTSIDE,
    "a.txt\0.md": INVALID,
    "\udc80.txt": INVALID,
    "x" * 256: INVALID,
    "/".join(["x" * 200] * 30): INVALID,
    "": INVALID,
    ".": INVALID,
    "a": INVALID,
    "missing.txt": NOT_FOUND,
    "a.txt/b": NOT_FOUND,
    "%2e%2e/secret.txt": NOT_FOUND,
    "link-out/secret.txt": OUTSIDE,
    "link-file-out": OUTSIDE,
    "link-absolute": OUTSIDE,
    "link-chain": OUTSIDE,
    "link-dangling": OUTSIDE,
    "link-loop": OUTSIDE,
    "link-proc/environ": OUTSIDE,
    "a/link-climbs/secret.txt": OUTSIDE,
    ".git/config": PROTECTED,
    ".GIT/config": PROTECTED,
    ".git./config": PROTECTED,
    ".g\u200cit/config": PROTECTED,
    "GIT~1/config": PROTECTED,
    "a/.git/hooks/pre-commit": PROTECTED,
    ".env": PROTECTED,
    ".ENV": PROTECTED,
    ".env.local": PROTECTED,
    ".env::$DATA": PROTECTED,
    "a/.env": PROTECTED,
    "id_rsa": PROTECTED,
    "deploy.pem": PROTECTED,
    "link-env": PROTECTED,
    "link-a/.env": PROTECTED,
    ".sidecar/backups/manifest.jsonl": PROTECTED,
    "private/x.txt": PROTECTED,
    "fifo": INVALID,
    "socket": INVALID,
}
ALLOWED = ["a.txt", "./a.txt", "a//b.txt", "link-inside", "link-a/b.txt", "a/link-up", "ü ñ%.txt"]


@pytest.fixture
def hostile(root: Path) -> Path:
    """A workspace with a neighbour, secrets, and every kind of link."""
    (root.parent / "secret.txt").write_text("SECRET")
    (root.parent / "ws-evil").mkdir()
    (root.parent / "ws-evil" / "secret.txt").write_text("SECRET")
    for folder in ("a", ".git", "private"):
        (root / folder).mkdir()
    for name in ("a.txt", "a/b.txt", ".env", "a/.env", ".git/config", "private/x.txt", "id_rsa"):
        (root / name).write_text(name)
    (root / "ü ñ%.txt").write_text("x")
    links = {
        "link-out": "..", "link-file-out": "../secret.txt", "link-absolute": str(root / "a.txt"),
        "link-chain": "link-file-out", "link-dangling": "../nothing", "link-loop": "link-loop",
        "link-proc": "/proc/self", "a/link-climbs": "../..", "link-env": ".env", "link-a": "a",
        "link-inside": "a.txt", "a/link-up": "../a.txt",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    return root


def opened(root: Path, *, fast: bool) -> Files:
    """The files of a workspace, by one of the two ways of opening."""
    workspace = Workspace.open(root, protected=["private/**"])
    files = workspace.files
    tree = Tree(root, fast=fast)
    return Files(tree, files.policy, files.locks, files.backups, files.journal, files.overlays)


WAYS = [
    pytest.param(True, id="openat2", marks=pytest.mark.skipif(
        not directories.has_openat2(), reason="the kernel or the sandbox has no openat2")),
    pytest.param(False, id="walk"),
]  # fmt: skip


@pytest.mark.parametrize("fast", WAYS)
@pytest.mark.parametrize("path", REFUSED, ids=lambda path: ascii(path)[:40])
def test_a_hostile_path_is_refused_by_reads_and_writes(hostile: Path, path: str, fast: bool):
    files = opened(hostile, fast=fast)

    with pytest.raises(SidecarError) as refused:
        files.read(path)

    assert refused.value.code is REFUSED[path]
    assert str(hostile.parent) not in str(refused.value)
    if REFUSED[path] is not NOT_FOUND:
        with pytest.raises(SidecarError):
            files.write(path, b"overwritten")
    assert (hostile.parent / "secret.txt").read_text() == "SECRET"
    assert (hostile / ".env").read_text() == ".env"
    assert not (hostile.parent / "nothing").exists()


@pytest.mark.parametrize("fast", WAYS)
@pytest.mark.parametrize("path", ALLOWED)
def test_a_path_inside_is_read_through_links_inside(hostile: Path, path: str, fast: bool):
    assert opened(hostile, fast=fast).read(path).data


@pytest.mark.parametrize("fast", WAYS)
def test_a_write_through_a_link_inside_replaces_the_file_and_keeps_the_link(
    hostile: Path, fast: bool
):
    written = opened(hostile, fast=fast).write("link-inside", b"new")

    assert written.path == "a.txt"
    assert (hostile / "link-inside").is_symlink()
    assert (hostile / "a.txt").read_bytes() == b"new"


@given(st.text(min_size=1, max_size=40))
def test_a_path_is_either_refused_or_has_one_clean_spelling(path: str):
    try:
        clean = paths.clean(path)
    except SidecarError:
        return

    assert paths.clean(clean) == clean
    assert ".." not in clean.split("/")
    assert not clean.startswith("/")


@given(st.sampled_from([".git", ".env", ".sidecar", "id_rsa"]), st.data())
def test_no_spelling_in_another_case_escapes_the_deny_list(name: str, data: st.DataObject):
    spelled = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in name)

    assert Policy().denies(spelled)
    assert Policy().denies(f"deep/{spelled}") is (name != ".sidecar")


def test_the_settings_patterns_protect_in_linear_time():
    policy = Policy(protected=["*a*a*a*a*a*a*a*b", "docs/**/*.key.txt"])

    assert not policy.denies("a" * 200 + "c")
    assert policy.denies("docs/x/y/z.key.txt")


GLOB = st.text(alphabet="ab*?[]!\\/-^ .#{}()|+$\r\té", max_size=8)


@given(st.lists(GLOB, max_size=4))
def test_any_ignore_file_can_be_read(patterns: list[str]):
    Globs(patterns, lenient=True).match("a/b.txt")


def test_a_pattern_that_is_none_is_refused_by_name():
    with pytest.raises(SidecarError, match="!"):
        Globs(["!"])


def test_a_bad_pattern_does_not_disable_its_neighbours():
    globs = Globs(["*.log", "!", "a" * 1000, "*a" * 200, "!keep.log"], lenient=True)

    assert globs.match("x.log")
    assert not globs.match("keep.log")


def test_thousands_of_patterns_keep_their_order():
    globs = Globs([*(f"x{n}*" for n in range(1900)), "!x1500b"], lenient=True)

    assert globs.match("x1500a")
    assert globs.verdict("x1500b") is False
    assert globs.verdict("y") is None
