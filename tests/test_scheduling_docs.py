"""Every example of docs/scheduling.md is executed, or parsed by what would read it."""

from __future__ import annotations

import argparse
import configparser
import importlib
import json
import os
import plistlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli.main import COMMANDS
from sidecar.engine.runners.catalog import runner_named
from sidecar.settings import Scope, load, scope_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scheduling.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def words_of(command: str) -> list[str]:
    """The words after ``sidecar``, accepted by that command's own parser."""
    program, name, *words = shlex.split(command)
    assert Path(program).name == "sidecar"
    assert name in COMMANDS
    parser = argparse.ArgumentParser()
    importlib.import_module(f"sidecar.cli.{name}").add_arguments(parser)
    parser.parse_args(words)
    return [name, *words]


def test_each_block_is_of_a_kind_that_is_looked_at():
    looked_at = {"toml", "console", "sh", "ini", "xml", "dockerfile"}
    assert {name for name, _ in BLOCKS} == looked_at


@pytest.mark.parametrize("text", blocks("toml"))
def test_settings_are_taken_as_they_are_shown(text: str, tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(text, "utf-8")

    loaded = load(None, file, {})

    assert loaded.problems == ()
    for name in loaded.settings.runners:
        assert runner_named(loaded.settings, name) is not None


def test_what_a_workspace_is_shown_to_set_is_a_workspaces_to_set(tmp_path: Path):
    (text,) = [each for each in blocks("toml") if "rollback" in each]
    (tmp_path / "sidecar.toml").write_text(text, "utf-8")

    loaded = load(tmp_path, tmp_path / "none.toml", {})

    assert loaded.problems == ()
    assert {scope_of(name) for name in loaded.settings.model_fields_set} == {Scope.WORKSPACE}
    for name in (loaded.settings.runner, *loaded.settings.runner_for.values()):
        assert runner_named(loaded.settings, name) is not None


def test_the_commands_do_what_the_page_says(example_workspace: Path, user_directory: Path):
    """All console blocks, one after the other, in the sample workspace with the first settings."""
    agent = user_directory / "agent.py"
    agent.write_text("import sys\nassert 'TODO.md' in sys.stdin.read()\nprint('worked')\n")
    settings = blocks("toml")[0].replace("/home/me/bin/agent.py", str(agent))
    (user_directory / "config").mkdir()
    (user_directory / "config" / "config.toml").write_text(
        settings.replace('"python3"', json.dumps(sys.executable)), "utf-8"
    )
    answers = {}
    for line in "".join(blocks("console")).splitlines():
        assert line.startswith("$ ")
        command = [sys.executable, "-P", "-m", "sidecar", *words_of(line[2:])]
        done = subprocess.run(command, cwd=example_workspace, capture_output=True, text=True,
                              check=False, timeout=240)  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        answers[line[2:]] = done.stdout

    assert "Loop: needs-consent" in answers["sidecar next --count 3"]
    assert "Loop: may run" in answers["sidecar trust --schedules"]
    assert "worked" in answers["sidecar run Loop"]
    assert "succeeded" in answers["sidecar runs"]
    assert answers["sidecar trust --revoke"] == "The consent is taken back.\n"


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_that_go_on_are_accepted_by_their_parser(text: str):
    for line in text.splitlines():
        assert words_of(line)[0] in {"serve", "worker"}


def test_the_systemd_unit_starts_a_command_that_exists():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(blocks("ini")[0])

    assert words_of(unit["Service"]["ExecStart"])[0] == "serve"
    assert unit["Service"]["KillSignal"] == "SIGINT"
    assert set(unit.sections()) == {"Unit", "Service", "Install"}


def test_the_launchd_agent_starts_a_command_that_exists():
    agent = plistlib.loads(blocks("xml")[0].encode())

    assert words_of(shlex.join(agent["ProgramArguments"]))[0] == "serve"
    assert agent["KeepAlive"] is True


def test_the_container_starts_a_command_that_exists():
    lines = [line.partition(" ") for line in blocks("dockerfile")[0].splitlines()]
    instructions = {name: rest for name, _, rest in lines}

    assert lines[0][0] == "FROM"
    assert words_of(shlex.join(json.loads(instructions["ENTRYPOINT"])))[0] == "serve"
    assert json.loads(instructions["VOLUME"]) == ["/workspace", "/sidecar"]
    assert instructions["ENV"] == "SIDECAR_HOME=/sidecar"
    assert set(instructions) <= {"FROM", "RUN", "ENV", "VOLUME", "ENTRYPOINT"}


@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_the_default_place_of_the_users_settings_is_the_one_that_is_named(monkeypatch, tmp_path):
    if sys.platform != "linux":
        pytest.skip("the page names the place on Linux")
    from sidecar.workspace.user_dirs import user_config_file  # noqa: PLC0415 - after the variables

    environ = {"HOME": str(tmp_path)}
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert user_config_file(environ) == tmp_path / ".config/loop-orchestrator/config.toml"
