"""What stood where a check failed: quoted from files that nobody changed during the run."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from validation.checks import Check, Status
from validation.quoting import CHARACTERS, quoted

TEXT = "one\ntwo\r\n    three é 🔧\n"


def quote_of(root: Path, line: int | None, *, file: str = "a.py", after: float = 10) -> str:
    check = Check("a.py::x", Status.FAILED, file=file, line=line)
    started = datetime.now(UTC) + timedelta(seconds=after)
    [found] = quoted([check], root, started)
    return found.quote


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_bytes(TEXT.encode())
    return tmp_path


def test_the_line_and_the_one_before_are_quoted(root: Path):
    assert quote_of(root, 1) == "\none"
    assert quote_of(root, 3) == "two\n    three é 🔧"
    assert quote_of(root, 5) == ""
    assert quote_of(root, None) == ""


def test_only_bad_checks_are_quoted(root: Path):
    checks = [Check("x", status, file="a.py", line=1) for status in Status]
    found = quoted(checks, root, datetime.now(UTC) + timedelta(seconds=10))

    assert [each.quote for each in found] == ["", "\none", "\none", ""]


def test_a_file_changed_during_the_run_is_not_quoted(root: Path):
    assert quote_of(root, 1, after=-10) == ""


def test_nothing_outside_no_pipe_and_no_other_encoding_is_quoted(root: Path, tmp_path: Path):
    outside = tmp_path.parent / "outside.py"
    outside.write_text("secret\n")
    (root / "link.py").symlink_to(outside)
    (root / "latin.py").write_bytes(b"\xe9\n")
    os.mkfifo(root / "pipe.py")

    for name in ("../outside.py", str(outside), "link.py", "latin.py", "pipe.py", "absent.py"):
        assert quote_of(root, 1, file=name) == "", name


def test_a_long_line_is_cut(root: Path):
    (root / "a.py").write_text("x" * 5000)

    assert quote_of(root, 1) == "\n" + "x" * CHARACTERS
