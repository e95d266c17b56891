"""Settings: who may set what, and what happens to a value that is not taken."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sidecar.settings import Scope, Settings, load, scope_of


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_declares_its_scope_and_says_what_it_is(name: str):
    assert scope_of(name) in Scope
    assert Settings.model_fields[name].description


def test_what_names_a_command_a_place_or_an_address_is_the_users_to_set():
    users = {name for name in Settings.model_fields if scope_of(name) is Scope.USER}

    assert {"interpreter", "state_dir", "host", "port", "allowed_hosts"} <= users


def test_a_workspaces_value_for_a_users_setting_is_ignored_and_named(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text('[tool.sidecar]\ninterpreter = "./evil"\n')

    loaded = load(tmp_path, tmp_path / "none.toml", {})

    assert loaded.settings.interpreter == ""
    assert [(p.path, p.name) for p in loaded.problems] == [("pyproject.toml", "interpreter")]


def test_a_workspace_decides_its_own_settings_and_the_user_overrides_them(tmp_path: Path):
    (tmp_path / "sidecar.toml").write_text('timezone = "Asia/Tokyo"\nproduct = "zoo"\n')
    user = tmp_path / "config.toml"
    user.write_text('timezone = "Europe/Warsaw"\nport = 9000\n')

    settings = load(tmp_path, user, {"SIDECAR_PORT": "9001"}, host="::1").settings

    assert (settings.timezone, settings.product) == ("Europe/Warsaw", "zoo")
    assert (settings.port, settings.host) == (9001, "::1")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("memory_line_limit = 'many'", "memory_line_limit"),
        ("catch_up = 'sometimes'", "catch_up"),
        ("colour = 'blue'", "colour"),
        ("timezone = ", ""),
    ],
)
def test_a_bad_value_is_left_out_and_named(tmp_path: Path, text: str, name: str):
    (tmp_path / "sidecar.toml").write_text(text)

    loaded = load(tmp_path, tmp_path / "none.toml", {})

    assert loaded.settings == Settings()
    assert [(p.path, p.name) for p in loaded.problems] == [("sidecar.toml", name)]


def test_a_bad_environment_variable_is_left_out_and_named():
    loaded = load(None, Path("none.toml"), {"SIDECAR_PORT": "http", "SIDECAR_IGNORE": "A1,B2"})

    assert loaded.settings == Settings(ignore=("A1", "B2"))
    assert [(p.path, p.name) for p in loaded.problems] == [("environment", "port")]


def test_a_sub_table_belongs_to_another_reader(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text("[tool.sidecar.validation]\nx = 1\n")

    assert load(tmp_path, tmp_path / "none.toml", {}).problems == ()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
@pytest.mark.parametrize(
    "trap",
    [
        os.mkfifo if hasattr(os, "mkfifo") else None,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.parent.parent / "outside.toml"),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_text("a = " + "[" * 100_000),
        lambda path: path.write_text("#" * 5_000_000),
        lambda path: path.write_text("a." * 1_000_000 + "a = 1"),
    ],
    ids=["pipe", "folder", "device", "outside", "no text", "deep", "large", "long key"],
)
@pytest.mark.parametrize("name", ["pyproject.toml", "sidecar.toml"])
def test_a_strangers_settings_file_may_be_any_trap(tmp_path: Path, name: str, trap):
    (tmp_path / "outside.toml").write_text('[tool.sidecar]\nproduct = "zoo"\n')
    root = tmp_path / "clone"
    root.mkdir()
    trap(root / name)

    loaded = load(root, tmp_path / "none.toml", {})

    assert loaded.settings == Settings()
    assert [problem.path for problem in loaded.problems] == [name]
    assert str(tmp_path) not in loaded.problems[0].message
