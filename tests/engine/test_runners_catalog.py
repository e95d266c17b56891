"""Runners by name: what is known, what a user may define, and what is refused with a hint."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from sidecar.domain.errors import SidecarError
from sidecar.engine.runners.acp import AcpRunner
from sidecar.engine.runners.builtin import BuiltinRunner
from sidecar.engine.runners.catalog import command_of, known, runner_named
from sidecar.engine.runners.command import CommandRunner
from sidecar.engine.runners.handoff import HandoffRunner
from sidecar.engine.runners.presets import ACP_AGENTS, PRESETS
from sidecar.settings import Settings

from .runner_cases import specification, worked

MCP = ("/opt/sidecar", "mcp", "--workspace", 'a "b"')


def test_every_known_name_gives_a_runner() -> None:
    settings = Settings()
    kinds = [type(runner_named(settings, name)) for name in known(settings)]
    agents = [CommandRunner] * len(PRESETS) + [AcpRunner] * len(ACP_AGENTS)
    assert kinds == [HandoffRunner, BuiltinRunner, *agents]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("clien", "Did you mean `cline`"),
        ("open-code", "Did you mean `opencode`"),
        ("", "The runners are: handoff, builtin, cline, "),
    ],
)
def test_an_unknown_name_is_refused_with_what_was_meant(name: str, hint: str) -> None:
    with pytest.raises(SidecarError) as refused:
        runner_named(Settings(), name)
    assert refused.value.code == "E_INVALID"
    assert refused.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        ((), "unknown kind ``"),
        (("shell", "x"), "unknown kind `shell`"),
        (("command",), "names no command"),
        (("acp",), "names no command"),
    ],
)
def test_a_definition_that_names_nothing_to_start_is_refused(
    definition: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SidecarError, match=told) as refused:
        runner_named(Settings(runners={"mine": definition}), "mine")
    assert refused.value.code == "E_INVALID"


def test_a_users_runner_is_listed_and_runs_its_command(tmp_path: Path) -> None:
    words = (sys.executable, "-c", "import sys; print(sys.argv[1:])", "{prompt}")
    settings = Settings(runners={"mine": ("command", *words)})
    assert "mine" in known(settings)
    assert command_of(settings, "mine") == ("command", *words)
    outcome, _ = worked(runner_named(settings, "mine"), specification(tmp_path))
    assert (outcome.status, outcome.text) == ("succeeded", "['Tidy the plan.']")


def recorder(folder: Path, *, lines: str = "") -> str:
    """A program that writes down how it was started, then prints its lines."""
    path = folder / "recording-agent"
    seen = folder / "seen.json"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "piped = '' if sys.stdin is None or not sys.argv[-1] else sys.stdin.read()\n"
        f"json.dump([sys.argv[1:], dict(os.environ), piped], open({str(seen)!r}, 'w'))\n"
        f"print({lines!r})\n",
        "utf-8",
    )
    path.chmod(0o755)
    return str(path)


FINAL = {
    "cline": {"type": "run_result", "finishReason": "completed", "text": "ok"},
    "claude": {"type": "result", "subtype": "success", "is_error": False, "result": "ok"},
    "codex": {"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 2}},
    "gemini": {"type": "result", "status": "success", "stats": {"total_tokens": 3}},
    "opencode": {"type": "step_finish", "part": {"reason": "stop", "tokens": {"total": 3}}},
    "roo": {"type": "result", "success": True, "content": "ok"},
}
FINAL |= {"qwen": FINAL["claude"], "kilo": FINAL["opencode"]}
NOT_FINAL = {
    "cline": {"type": "run_result", "finishReason": "aborted"},
    "claude": {"type": "result", "subtype": "success", "is_error": True},
    "codex": {"type": "turn.failed", "error": {"message": "no"}},
    "gemini": {"type": "result", "status": "error", "error": {"message": "no"}},
    "opencode": {"type": "step_finish", "part": {"reason": "tool-calls"}},
    "roo": {"type": "result", "success": False},
}
NOT_FINAL |= {"qwen": NOT_FINAL["claude"], "kilo": NOT_FINAL["opencode"]}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_starts_its_agent_with_prompt_and_server_and_believes_its_last_event(
    tmp_path: Path, name: str
) -> None:
    program = recorder(tmp_path, lines=json.dumps(FINAL[name]))
    settings = Settings(runners={"mine": (name, program, "--model", "m")})
    spec = specification(tmp_path, mcp=MCP, mode="code", permissions={"edit": "allow"})
    outcome, events = worked(runner_named(settings, "mine"), spec)
    assert outcome.status == "succeeded", outcome
    words, seen, piped = json.loads((tmp_path / "seen.json").read_text("utf-8"))
    assert words[words.index("--model") + 1] == "m"
    assert spec.prompt in (piped, words[-1])
    assert seen["SIDECAR_RUN_ID"] == spec.run_id
    told = "".join([*words, *seen.values(), *files(spec.folder)])
    if name not in ("gemini", "roo"):  # they take servers from their own settings alone
        assert "/opt/sidecar" in told
    else:
        assert any("own settings alone" in event.text for event in events)
    assert not list(spec.root.iterdir()), "nothing is written into the workspace"


def files(folder: Path) -> list[str]:
    return [path.read_text("utf-8") for path in folder.glob("*.json")]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_does_not_believe_exit_0_after_an_end_that_is_no_success(
    tmp_path: Path, name: str
) -> None:
    program = recorder(tmp_path, lines=json.dumps(NOT_FINAL[name]))
    settings = Settings(runners={"mine": (name, program)})
    outcome, _ = worked(runner_named(settings, "mine"), specification(tmp_path))
    assert (outcome.status, outcome.exit_code) == ("failed", 0)


def test_codex_is_given_the_server_as_toml_whatever_its_path_holds(tmp_path: Path) -> None:
    spec = specification(tmp_path, mcp=MCP)
    words = PRESETS["codex"].equip(spec).words
    settings = tomllib.loads("\n".join(word for word in words if word.startswith("mcp_servers")))
    server = settings["mcp_servers"]["sidecar"]
    assert (server["command"], tuple(server["args"])) == (MCP[0], MCP[1:])
    assert server["env"]["SIDECAR_RUN_ID"] == spec.run_id


@pytest.mark.parametrize(
    ("name", "few", "many"),
    [
        ("claude", "acceptEdits", "bypassPermissions"),
        ("gemini", "auto_edit", "yolo"),
        ("qwen", "auto-edit", "yolo"),
    ],
)
def test_rights_follow_the_permissions(tmp_path: Path, name: str, few: str, many: str) -> None:
    equip = PRESETS[name].equip
    edits = specification(tmp_path, permissions={"edit": "allow"})
    shell = specification(tmp_path, permissions={"edit": "allow", "execute": "allow"})
    none = specification(tmp_path, permissions={})
    assert few in equip(edits).words
    assert many in equip(shell).words
    assert not {few, many} & set(equip(none).words)


def test_opencode_denies_what_is_not_allowed_instead_of_asking(tmp_path: Path) -> None:
    spec = specification(tmp_path, permissions={"edit": "allow"})
    config = json.loads(PRESETS["opencode"].equip(spec).variables["OPENCODE_CONFIG_CONTENT"])
    rights = config["permission"]
    assert (rights["edit"], rights["bash"], rights["webfetch"]) == ("allow", "deny", "deny")


@pytest.mark.parametrize("name", ["cline", "roo"])
def test_an_agent_that_cannot_refuse_single_kinds_says_so(tmp_path: Path, name: str) -> None:
    spec = specification(tmp_path, permissions={"edit": "allow"})
    assert any("can't refuse" in each for each in PRESETS[name].equip(spec).warnings)
