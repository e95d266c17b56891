"""What a person sees of a run under way, on a terminal and in a log."""

import os
import pty
import subprocess
import sys

from validation.progress import Progress


def seen(project, *options: str) -> str:
    """What a terminal is told by a run on a project."""
    own, theirs = pty.openpty()
    command = [sys.executable, "-P", "-m", "validation", str(project), "--allow-code", *options]
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL)
    os.close(theirs)
    told = b""
    while True:
        try:
            chunk = os.read(own, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        told += chunk
    process.wait(60)
    os.close(own)
    return told.decode()


def test_a_terminal_shows_the_stage_and_its_count_and_gets_its_cursor_back(tmp_path):
    (tmp_path / "test_slow.py").write_text(
        "import time\n\ndef test_one():\n    time.sleep(1)\n    assert True\n"
    )
    told = seen(tmp_path, "--category", "tests")
    assert "pytest" in told
    assert "0/1" in told
    assert "test_slow.py::test_one" in told
    assert told.rindex("\x1b[?25h") > told.rindex("\x1b[?25l")


def test_the_name_of_a_test_cannot_steer_the_terminal(tmp_path):
    (tmp_path / "test_names.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('x', [1], ids=['\\x1b]0;owned\\x07'])\n"
        "def test_one(x):\n    assert x\n"
    )
    assert "\x1b]0;" not in seen(tmp_path, "--category", "tests")


def test_a_log_gets_whole_lines(tmp_path):
    with (tmp_path / "log").open("w+", encoding="utf-8") as stream:
        progress = Progress(stream, stages=1)
        progress.stage("pytest")
        progress.note("1/2")
        progress.finish("[ok] pytest")
        progress.close()
        stream.seek(0)
        assert stream.read() == "... pytest\n[ok] pytest\n"
