"""The ACP runner against a real agent process: modes, permissions, cancellation, clean ends."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.engine.runners.acp import AcpRunner
from sidecar.engine.runners.permissions import decide
from sidecar.engine.runners.presets import server_environment

from .runner_cases import HERE, QUICK, in_thread, living, specification, transcript, until, worked

AGENT = str(HERE / "scripted_acp_agent.py")


def scripted(behaviour: str, offers: str = "nothing", **bounds: object) -> AcpRunner:
    return AcpRunner((sys.executable, AGENT, behaviour, offers), bounds=replace(QUICK, **bounds))


def test_the_prompt_and_our_server_reach_the_agent_and_its_words_come_back_whole(
    tmp_path: Path,
) -> None:
    spec = specification(tmp_path, mcp=("/bin/sidecar", "mcp", "--workspace", "x"))
    outcome, events = worked(scripted("success"), spec)
    assert outcome.status == "succeeded"
    assert (outcome.tokens, outcome.facts["stop_reason"]) == (12, "end_turn")
    server = ["sidecar", "/bin/sidecar", ["mcp", "--workspace", "x"]]
    told = f"mode: none; servers: {[[*server, server_environment(spec)]]}; prompt: Tidy the plan."
    assert outcome.text == told
    assert server_environment(spec)["SIDECAR_RUN_ID"] == spec.run_id
    assert [event.text for event in events if event.kind == "text"] == [told]
    assert living(spec) == 0


@pytest.mark.parametrize(
    ("offers", "told"),
    [("option", "option mode=code"), ("modes", "set_mode code"), ("both", "option mode=code")],
)
def test_the_mode_goes_by_a_config_option_else_by_set_mode(
    tmp_path: Path, offers: str, told: str
) -> None:
    spec = specification(tmp_path, mode="code", role="You are a coder.")
    outcome, _ = worked(scripted("success", offers), spec)
    assert outcome.text.startswith(f"mode: {told}; ")
    assert "You are a coder." not in outcome.text


@pytest.mark.parametrize("offers", ["nothing", "modes", "option"])
def test_a_mode_that_is_not_offered_becomes_the_role_in_the_prompt(
    tmp_path: Path, offers: str
) -> None:
    spec = specification(tmp_path, mode="gardener", role="You are a gardener.")
    outcome, events = worked(scripted("success", offers), spec)
    assert outcome.text.startswith("mode: none; ")
    assert "prompt: You are a gardener.\n\nTidy the plan." in outcome.text
    warnings = [event.text for event in events if event.kind == "warning"]
    assert len(warnings) == 1
    assert warnings[0].startswith("The agent has no mode `gardener` (it has ")


def test_a_mode_may_be_known_to_the_agent_by_another_name(tmp_path: Path) -> None:
    options = {"modes": {"design": "architect"}}
    spec = specification(tmp_path, mode="design", options=options)
    outcome, _ = worked(scripted("success", "modes"), spec)
    assert outcome.text.startswith("mode: set_mode architect; ")


def test_a_permission_that_the_policy_gives_lets_the_agent_write(tmp_path: Path) -> None:
    spec = specification(tmp_path)
    outcome, _ = worked(scripted("write"), spec)
    assert (spec.root / "made.txt").read_text("utf-8") == "made"
    assert (outcome.status, outcome.facts["denied"], outcome.tool_calls) == ("succeeded", 0, 1)


@pytest.mark.parametrize("permissions", [{}, {"read": "allow"}, {"edit": "deny"}])
def test_a_permission_denied_leaves_no_file_and_is_written_down(
    tmp_path: Path, permissions: dict[str, str]
) -> None:
    spec = specification(tmp_path, permissions=permissions)
    outcome, _ = worked(scripted("write"), spec)
    assert not (spec.root / "made.txt").exists()
    assert outcome.facts["denied"] == 1
    (denial,) = [line for line in transcript(spec) if line.get("data", {}).get("permission")]
    assert denial["text"].startswith("Denied: Write made.txt")
    assert denial["data"] == {"permission": "denied", "kind": "edit", "names": ["Write made.txt"]}


def test_a_command_named_like_our_tool_is_judged_as_a_command(tmp_path: Path) -> None:
    outcome, _ = worked(scripted("shell-named-like-ours"), specification(tmp_path))
    assert outcome.text == "permitted: False"
    outcome, _ = worked(scripted("our-tool"), specification(tmp_path))
    assert outcome.text == "permitted: True"


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        ("other", "mcp__sidecar__get_todo_status", True),
        ("other", "sidecar_get_todo_status", True),
        ("", "get_todo_status (sidecar MCP Server)", True),
        ("other", 'sidecar__get_todo_status: {"include_completed": true}', True),
        ("other", 'sidecar__rm: {"include_completed": true}', False),
        ("execute", 'sidecar__get_todo_status: {"include_completed": true}', False),
        ("other", "sidecar__rm", False),
        ("other", "othersidecar__get_todo_status", False),
        ("other", "sidecar__get_todo_status; rm -rf .", False),
        ("execute", "sidecar__get_todo_status", False),
        ("fetch", "sidecar__get_todo_status", False),
        ("edit", "Edit x", True),
    ],
)
def test_the_policy_knows_our_own_tools_from_everything_else(
    kind: str, name: str, *, allowed: bool
) -> None:
    assert decide({"edit": "allow"}, kind, (name,)).allowed is allowed


def test_our_own_tools_can_be_denied() -> None:
    decision = decide({"sidecar": "deny"}, "other", ("sidecar_get_todo_status",))
    assert not decision.allowed


def test_a_cancellation_is_answered_before_anything_is_killed(tmp_path: Path) -> None:
    spec, stop = specification(tmp_path), threading.Event()
    with in_thread(scripted("patient", cancel=60.0), spec, stop) as results:
        until((spec.root / "working").exists)
        stop.set()
        until(lambda: results)
    assert results[0].status == "cancelled"
    assert living(spec) == 0
    told = [line["text"] for line in transcript(spec)]
    assert "The agent answered the cancellation with cancelled." in told


def test_at_its_limit_an_agent_is_ended(tmp_path: Path) -> None:
    spec = specification(tmp_path, limit_seconds=3.0)
    outcome, _ = worked(scripted("patient", cancel=60.0), spec)
    assert (outcome.status, outcome.reason) == ("timed-out", "Its limit of 3 s was reached.")
    assert living(spec) == 0


def test_an_agent_that_does_not_hear_a_cancellation_is_ended_with_its_descendants(
    tmp_path: Path,
) -> None:
    spec, stop = specification(tmp_path), threading.Event()
    with in_thread(scripted("stubborn"), spec, stop) as results:
        until(lambda: living(spec) >= 4)
        stop.set()
        until(lambda: results)
    assert results[0].status == "cancelled"
    assert (results[0].facts["processes_left"], living(spec)) == (0, 0)
    told = [line["text"] for line in transcript(spec)]
    assert "The agent did not answer the cancellation." in told


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("refusal", "The agent refused to work on it."),
        ("silent", "The agent ended its turn without a word or a call."),
        ("crash", "The agent ended or went silent before it answered session/prompt."),
        ("version", "The agent speaks version 9 of the protocol, not 1."),
        ("unauthenticated", "The agent has nobody signed in"),
    ],
)
def test_what_is_no_end_of_a_turn_is_failure(tmp_path: Path, behaviour: str, reason: str) -> None:
    spec = specification(tmp_path)
    outcome, _ = worked(scripted(behaviour), spec)
    assert outcome.status == "failed"
    assert outcome.reason.startswith(reason)
    assert living(spec) == 0


def test_an_agent_that_never_answers_is_given_up_by_our_own_time_out(tmp_path: Path) -> None:
    spec = specification(tmp_path)
    outcome, _ = worked(scripted("mute", answer=1.0), spec)
    assert outcome.status == "failed"
    assert outcome.reason == "The agent did not answer initialize within 1 s."
    assert living(spec) == 0


def test_long_lines_and_full_error_pipes_do_not_block_the_talk(tmp_path: Path) -> None:
    outcome, _ = worked(scripted("noise"), specification(tmp_path))
    assert outcome.status == "succeeded"
    assert outcome.facts["errors"].endswith("complaint")


def test_words_without_end_are_bounded(tmp_path: Path) -> None:
    spec = specification(tmp_path)
    outcome, _ = worked(scripted("flood", output_bytes=20_000_000), spec)
    assert (outcome.status, outcome.reason) == ("failed", "The agent said more than 20 MB.")
    assert (spec.folder / "transcript.ndjson").stat().st_size < 21_000_000
    assert living(spec) == 0


def test_a_command_that_speaks_no_protocol_fails_with_a_sentence(tmp_path: Path) -> None:
    runner = AcpRunner((sys.executable, "-c", "print('hello')"), bounds=QUICK)
    outcome, _ = worked(runner, specification(tmp_path))
    assert outcome.status == "failed"
    assert "initialize" in outcome.reason
