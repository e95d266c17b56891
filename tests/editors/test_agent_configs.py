"""The MCP configuration files for agents are spelled as each product reads them."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sidecar.services.registry import TOOLS

AGENTS = Path(__file__).resolve().parents[2] / "editor-config" / "agents"
SIDECAR = Path(sysconfig.get_path("scripts")) / "sidecar"

FILES = {
    "cline": "cline_mcp_settings.json",
    "roo": ".roo/mcp.json",
    "zoo": ".zoo/mcp.json",
    "claude-code": ".mcp.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".vscode/mcp.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
    "opencode": "opencode.json",
}
# Root key, fields of a server started as a child process, list of tools that run unasked.
ROO = (
    "mcpServers",
    {"type", "command", "args", "env", "cwd", "disabled", "timeout"},
    "alwaysAllow",
)
RULES: dict[str, tuple[str, set[str], str]] = {
    "roo": ROO,
    "zoo": ROO,
    "cline": (
        "mcpServers",
        {"type", "command", "args", "env", "cwd", "disabled", "timeout"},
        "autoApprove",
    ),
    "claude-code": ("mcpServers", {"type", "command", "args", "env"}, ""),
    "cursor": ("mcpServers", {"type", "command", "args", "env", "envFile"}, ""),
    "vscode": ("servers", {"type", "command", "args", "env", "envFile", "cwd", "dev"}, ""),
    "codex": ("mcp_servers", {"command", "args", "env", "cwd", "startup_timeout_sec"}, ""),
    "gemini": ("mcpServers", {"command", "args", "env", "cwd", "timeout", "trust"}, ""),
    "opencode": ("mcp", {"type", "command", "environment", "enabled", "timeout"}, ""),
}
# What else a file may hold at its root.
BESIDE = {"opencode": {"$schema"}}
VARIABLES = {"cursor": {"workspaceFolder"}, "vscode": {"workspaceFolder"}}
PLACEHOLDER = "/path/to/your/workspace"
LONGEST_ROO_TIMEOUT = 3600  # seconds

agents = pytest.mark.parametrize("agent", FILES)


def document_of(agent: str) -> dict[str, Any]:
    """What an agent's file says."""
    text = (AGENTS / agent / FILES[agent]).read_text("utf-8")
    document = tomllib.loads(text) if FILES[agent].endswith(".toml") else json.loads(text)
    assert isinstance(document, dict)
    return document


def server_of(agent: str) -> dict[str, Any]:
    """The one server in an agent's file."""
    server = document_of(agent)[RULES[agent][0]]["sidecar"]
    assert isinstance(server, dict)
    return server


def command_of(agent: str) -> list[str]:
    """The words by which an agent starts the server."""
    server = server_of(agent)
    command = server["command"]
    return [*command] if isinstance(command, list) else [command, *server["args"]]


def test_every_file_belongs_to_a_known_agent() -> None:
    """No configuration goes untested."""
    found = {path.relative_to(AGENTS).as_posix() for path in AGENTS.rglob("*") if path.is_file()}

    assert found == {f"{agent}/{name}" for agent, name in FILES.items()}


@agents
def test_file_has_the_products_root_key_alone(agent: str) -> None:
    """A wrong root key is silently no server at all."""
    data = (AGENTS / agent / FILES[agent]).read_bytes()

    assert not data.startswith(b"\xef\xbb\xbf")
    assert set(document_of(agent)) - BESIDE.get(agent, set()) == {RULES[agent][0]}


@agents
def test_server_has_only_fields_the_product_knows(agent: str) -> None:
    """An unknown field is ignored by some products and rejects the file in others."""
    _, fields, approved = RULES[agent]
    server = server_of(agent)

    assert set(server) <= fields | ({approved} if approved else set())
    assert server.get("type", "stdio") == ("local" if agent == "opencode" else "stdio")
    assert command_of(agent)[:2] == ["sidecar", "mcp"]
    assert all(isinstance(word, str) for word in command_of(agent))
    assert all(isinstance(value, str) for value in server.get("env", {}).values())
    assert 1 <= server.get("timeout", 1) <= LONGEST_ROO_TIMEOUT


@agents
def test_only_variables_the_product_replaces_are_used(agent: str) -> None:
    """A variable that is not known is passed on as it is written."""
    used = set(re.findall(r"\$\{([^}]*)\}", json.dumps(server_of(agent))))

    assert used <= VARIABLES.get(agent, set())


@pytest.mark.parametrize("agent", ["roo", "zoo", "cline"])
def test_exactly_the_reading_tools_run_unasked(agent: str) -> None:
    """What changes a file or runs something stays with the person."""
    approved = server_of(agent)[RULES[agent][2]]

    assert sorted(approved) == sorted(name for name, tool in TOOLS.items() if tool.read_only)


@agents
def test_no_secret_is_in_the_file(agent: str) -> None:
    """The files are meant to be committed."""
    text = (AGENTS / agent / FILES[agent]).read_text("utf-8")

    assert not re.search(r"token|secret|password|bearer|key\b|sk-|ghp_", text, re.IGNORECASE)


@agents
def test_command_line_is_accepted(agent: str, tmp_path: Path) -> None:
    """The real program starts with these words, and ends when its client does."""
    words = [
        word.replace("${workspaceFolder}", str(tmp_path)).replace(PLACEHOLDER, str(tmp_path))
        for word in command_of(agent)[1:]
    ]
    result = subprocess.run(
        [SIDECAR, *words], cwd=tmp_path, input=b"", capture_output=True, timeout=60, check=False
    )

    assert (result.returncode, result.stdout) == (0, b""), result.stderr.decode()
    assert list(tmp_path.iterdir()) == []
