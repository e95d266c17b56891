"""The VS Code extension's manifest: what it starts on, and what a workspace cannot decide."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.workspace.layout import kind_of

EXTENSION = Path(__file__).resolve().parents[2] / "editor-config" / "vscode"


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The extension's package.json."""
    document = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_workspace_cannot_decide_what_is_executed(manifest: dict[str, Any]) -> None:
    """The command has machine scope and is restricted in an untrusted workspace."""
    properties = manifest["contributes"]["configuration"]["properties"]
    trust = manifest["capabilities"]["untrustedWorkspaces"]

    assert properties["sidecar.command"]["scope"] == "machine"
    assert trust["supported"] == "limited"
    assert "sidecar.command" in trust["restrictedConfigurations"]


def test_every_pattern_is_a_file_the_sidecar_knows() -> None:
    """The editor sends exactly files that the server has a reading for."""
    source = (EXTENSION / "src" / "files.ts").read_text("utf-8")
    names = re.findall(r'"([^"*{$]+\.?[\w./-]*)",?$', source, re.MULTILINE)

    assert len(names) >= 9
    assert [name for name in names if kind_of(name) is None] == []


def test_lock_file_names_no_registry() -> None:
    """The lock holds versions and hashes; where packages come from is the user's setting."""
    lock = json.loads((EXTENSION / "package-lock.json").read_text("utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]

    assert packages
    assert [package for package in packages if "resolved" in package] == []
    assert [package for package in packages if "integrity" not in package] == []


def test_dependencies_have_lower_bounds(manifest: dict[str, Any]) -> None:
    """No dependency means "whatever there is"."""
    wanted = {**manifest["dependencies"], **manifest["devDependencies"]}

    assert all(re.fullmatch(r"[\^~]\d+\.\d+\.\d+", version) for version in wanted.values()), wanted
