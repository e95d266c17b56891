"""The log: structured, small, without secrets, and nothing created by opening a workspace."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.workspace import logs
from sidecar.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def other_handlers() -> Iterator[None]:
    """Bring back what listened before."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_record_is_one_json_line_on_stderr_and_in_the_file(
    workspace: Workspace, root: Path, capsys: pytest.CaptureFixture[str]
):
    workspace.state.write("reports/x.json", b"{}")
    logs.start(workspace.state)
    try:
        int("broken\nin two")
    except ValueError:
        logging.getLogger("sidecar.test").exception("it %s", "failed")

    lines = (root / ".sidecar/logs/sidecar.jsonl").read_text().splitlines()
    assert len(lines) == 1
    told = json.loads(lines[0])
    assert (told["level"], told["from"], told["message"]) == ("error", "sidecar.test", "it failed")
    assert "broken" in told["error"]
    assert json.loads(capsys.readouterr().err) == told


def test_logging_creates_nothing_in_a_workspace_that_holds_nothing_of_ours(
    workspace: Workspace, root: Path
):
    logs.start(workspace.state)
    logging.getLogger("sidecar.test").error("trouble")

    assert list(root.iterdir()) == []


def test_the_files_are_rotated_and_their_number_is_bounded(workspace: Workspace, root: Path):
    workspace.state.write("reports/x.json", b"{}")
    logs.start(workspace.state)
    for number in range(700):
        logging.getLogger("sidecar.test").error("%d %s", number, "x" * 7000)

    files = sorted((root / ".sidecar/logs").glob("sidecar*"))
    assert len(files) == logs.FILES_KEPT
    assert all(file.stat().st_size <= logs.FILE_BYTES for file in files)
    assert json.loads(files[-1].read_text().splitlines()[-1])["message"].startswith("699 ")


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
        ('{"api_key": "sk-12345678"}', "sk-12345678"),
        ("SIDECAR_TOKEN=s3cr3tvalue", "s3cr3tvalue"),
        ("password: hunter22", "hunter22"),
        ("https://me:hunter22@example.org/x", "hunter22"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(said: str, secret: str):
    assert secret not in logs.without_secrets(f"before {said} after")
    assert logs.without_secrets("the token of 3 words") == "the token of 3 words"


def test_paths_of_this_machine_are_left_out(
    workspace: Workspace, root: Path, capsys: pytest.CaptureFixture[str]
):
    logs.start(workspace.state)
    logging.getLogger("sidecar.test").error("in %s and %s", root / "a.txt", Path.home() / "b.txt")

    told = json.loads(capsys.readouterr().err)["message"]
    assert told == "in <workspace>/a.txt and ~/b.txt"
