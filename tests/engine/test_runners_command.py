"""The command runner: proof of success, limits, clean ends, and what is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.channel.starting import clean
from sidecar.engine.runners import process
from sidecar.engine.runners.bounds import Reached, Watch
from sidecar.engine.runners.child import environment
from sidecar.engine.runners.command import CommandRunner
from sidecar.engine.runners.record import Mask

from .runner_cases import (
    AGENT,
    HERE,
    QUICK,
    in_thread,
    living,
    scripted,
    specification,
    transcript,
    until,
    worked,
)


def plain(*words: str) -> CommandRunner:
    return CommandRunner((sys.executable, AGENT, "plain", *words), bounds=QUICK)


def test_a_final_event_of_success_is_success_with_what_the_agent_told(tmp_path: Path) -> None:
    outcome, events = worked(scripted("success"), specification(tmp_path))
    assert (outcome.status, outcome.text, outcome.exit_code) == ("succeeded", "All done.", 0)
    assert (outcome.tool_calls, outcome.tokens, outcome.cost) == (1, 10, 0.25)
    assert [event.kind for event in events] == ["start", "text", "tool", "tool", "end"]


def test_a_final_event_of_failure_is_failure_though_it_exits_with_0(tmp_path: Path) -> None:
    outcome, _ = worked(scripted("failure"), specification(tmp_path))
    assert (outcome.status, outcome.exit_code) == ("failed", 0)
    assert "error_during_execution" in outcome.reason


@pytest.mark.parametrize("behaviour", ["silent-exit", "more-work"])
def test_exit_0_without_a_final_event_at_the_end_is_failure(tmp_path: Path, behaviour: str) -> None:
    outcome, _ = worked(scripted(behaviour), specification(tmp_path))
    assert (outcome.status, outcome.exit_code) == ("failed", 0)
    assert outcome.reason == "scripted ended (exit code 0) without a final event."


def test_an_agent_that_hangs_is_ended_at_its_limit(tmp_path: Path) -> None:
    spec = specification(tmp_path, limit_seconds=1.5)
    outcome, _ = worked(scripted("hang"), spec)
    assert (outcome.status, outcome.reason) == ("timed-out", "Its limit of 1.5 s was reached.")
    assert outcome.facts["processes_left"] == living(spec) == 0


def test_an_agent_that_says_nothing_is_ended_before_its_limit(tmp_path: Path) -> None:
    spec = specification(tmp_path, idle_seconds=1.0)
    outcome, _ = worked(scripted("hang"), spec)
    assert outcome.status == "timed-out"
    assert outcome.reason == "The agent said nothing for 1 s."
    assert living(spec) == 0


def test_the_clock_warns_once_and_forgives_silence_that_ended(tmp_path: Path) -> None:
    now, told, stop = [0.0], list[str](), threading.Event()
    spec = specification(tmp_path, limit_seconds=100.0, idle_seconds=30.0)
    watch = Watch(spec, stop, lambda event: told.append(event.text), lambda: now[0])
    reasons = []
    for now[0] in (29.0, 58.0, 81.0, 99.0, 100.0):
        reached = watch.reached()
        reasons.append(reached.reason if reached else "")
        watch.heard()
    assert reasons == ["", "", "", "", "Its limit of 100 s was reached."]
    assert told == ["80% of its 100 s have gone by."]
    stop.set()
    assert watch.reached() == Reached("cancelled", "It was told to stop.")


def test_an_agent_deaf_to_interrupt_and_terminate_is_killed(tmp_path: Path) -> None:
    spec, stop = specification(tmp_path), threading.Event()
    heard: list[str] = []
    timer = threading.Thread(target=lambda: (until(lambda: "I read." in heard), stop.set()))
    timer.start()
    outcome = scripted("deaf").run(spec, stop, lambda event: heard.append(event.text))
    timer.join()
    assert (outcome.exit_code, living(spec)) == (-9, 0)


def test_an_agent_that_does_not_exit_after_its_last_word_is_ended_and_counts(
    tmp_path: Path,
) -> None:
    spec = specification(tmp_path)
    outcome, _ = worked(scripted("linger"), spec)
    assert (outcome.status, living(spec)) == ("succeeded", 0)


def test_output_without_end_is_bounded_in_memory_on_disk_and_in_time(tmp_path: Path) -> None:
    spec = specification(tmp_path)
    runner = scripted("flood", output_bytes=30_000_000, line_bytes=100_000)
    outcome, events = worked(runner, spec)
    assert (outcome.status, outcome.reason) == ("failed", "The agent printed more than 30 MB.")
    assert max(len(event.text) for event in events) < 25_000
    assert (spec.folder / "transcript.ndjson").stat().st_size < 21_000_000
    assert living(spec) == 0


def test_a_line_of_any_length_does_not_lose_the_final_event(tmp_path: Path) -> None:
    outcome, events = worked(scripted("long-line"), specification(tmp_path))
    assert outcome.status == "succeeded"
    assert "characters left out" in events[1].text


def test_errors_without_end_do_not_block_the_agent_and_its_last_line_is_told(
    tmp_path: Path,
) -> None:
    outcome, _ = worked(scripted("errors"), specification(tmp_path))
    assert outcome.status == "failed"
    assert outcome.reason.endswith("(exit code 3) without a final event. It said: no such model")


@pytest.mark.parametrize(("behaviour", "limit"), [("family", 120.0), ("family-hang", 6.0)])
def test_descendants_that_left_the_group_or_their_parent_are_gone_after_the_end(
    tmp_path: Path, behaviour: str, limit: float
) -> None:
    spec = specification(tmp_path, limit_seconds=limit)
    counts: list[int] = []
    runner = scripted(behaviour)
    outcome = runner.run(spec, threading.Event(), lambda _: counts.append(living(spec)))
    assert max(counts) >= 3, "its descendants; the agent itself may have exited"
    assert (outcome.facts["processes_left"], living(spec)) == (0, 0)


def test_a_stop_from_another_thread_ends_the_whole_tree(tmp_path: Path) -> None:
    spec, stop = specification(tmp_path), threading.Event()
    with in_thread(scripted("family-hang"), spec, stop) as results:
        until(lambda: living(spec) >= 4)
        stop.set()
        until(lambda: results)
    assert (results[0].status, results[0].reason) == ("cancelled", "It was told to stop.")
    assert living(spec) == 0


def test_a_stop_before_the_beginning_starts_nothing(tmp_path: Path) -> None:
    spec, stop = specification(tmp_path), threading.Event()
    stop.set()
    outcome, _ = worked(scripted("success"), spec, stop)
    assert outcome.status == "cancelled"
    assert not (spec.folder / "process.json").exists()


def test_a_planted_link_in_the_folder_is_not_written_through(tmp_path: Path) -> None:
    spec, target = specification(tmp_path), tmp_path / "precious"
    target.write_text("mine", "utf-8")
    (spec.folder / "transcript.ndjson").symlink_to(target)
    outcome, _ = worked(scripted("success"), spec)
    assert outcome.status == "failed"
    assert outcome.reason.startswith("The attempt could not go on")
    assert target.read_text("utf-8") == "mine"


def test_what_a_killed_predecessor_left_is_ended_by_its_record(tmp_path: Path) -> None:
    """Another process starts the run and dies by KILL; its agent lives on until it is ended."""
    spec = specification(tmp_path)
    code = (
        "import sys, threading; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tests.engine.runner_cases import scripted, specification\n"
        "spec = specification(Path(sys.argv[2]), run_id=sys.argv[3])\n"
        "scripted('family-hang').run(spec, threading.Event(), lambda _: None)\n"
    )
    command = [sys.executable, "-c", code, str(HERE.parents[1]), str(tmp_path), spec.run_id]
    with subprocess.Popen(command) as host:
        until(lambda: (spec.folder / "process.json").exists() and living(spec) >= 4)
        host.kill()
    known = json.loads((spec.folder / "process.json").read_text("utf-8"))
    assert known["pid"] > 0
    # One that only begins another may have been counted above.
    until(lambda: len(process.members(known)) >= 4)
    ladder = tuple(zip((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), QUICK.ladder, strict=True))
    assert process.end_tree(known, ladder) == 0
    assert living(spec) == 0


def test_a_run_inside_a_run_is_not_ended_with_it() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], "
    code += "env={'SIDECAR_RUN_ID': 'inner'}, start_new_session=True).wait()"
    marked = {**os.environ, "SIDECAR_RUN_ID": "outer"}
    with subprocess.Popen([sys.executable, "-c", code], env=marked, stdin=subprocess.PIPE) as outer:
        until(lambda: process.members(process.of_run("inner")))
        assert process.end_tree(process.identity(outer.pid, "outer")) == 0
        assert len(process.members(process.of_run("inner"))) == 1
        assert process.end_tree(process.of_run("inner")) == 0


def test_a_sidecar_that_an_agents_server_started_is_not_of_the_run() -> None:
    assert clean({"SIDECAR_RUN_ID": "run", "SIDECAR_HOME": "/h"}) == {"SIDECAR_HOME": "/h"}


def test_a_process_id_that_was_given_to_another_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        known = process.identity(other.pid)
        assert [each.pid for each in process.members(known)] == [other.pid]
        stale = {**known, "started": "1@another"}
        assert process.end_tree(stale) == 0
        assert other.poll() is None
        assert other.stdin is not None
        other.stdin.close()


def test_a_run_never_ends_the_process_that_hosts_it() -> None:
    known = process.identity(os.getpid())
    assert os.getpid() not in [each.pid for each in process.members(known)]


def test_the_listing_of_ps_tells_the_same_as_proc() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        by_ps = {each.pid: each for each in process._listed_by_ps()}
        (by_proc,) = process.listed([other.pid])
        found = by_ps[other.pid]
        assert (found.parent, found.group) == (by_proc.parent, by_proc.group)
        assert found.started
        assert other.stdin is not None
        other.stdin.close()


def test_the_environment_is_clean_and_marked_and_has_no_folder_of_the_workspace(
    tmp_path: Path,
) -> None:
    base = {
        "PATH": f"{tmp_path}/bin:/usr/bin:relative",
        "HOME": "/home/x",
        "OPENAI_API_KEY": "host's",
        "PYTHONPATH": "/evil",
        "LC_ALL": "C",
    }
    seen = environment("run-1", tmp_path, {"MY_TOKEN": "given"}, base)
    assert seen == {
        "PATH": "/usr/bin",
        "HOME": "/home/x",
        "LC_ALL": "C",
        "TERM": "dumb",
        "MY_TOKEN": "given",
        "SIDECAR_RUN_ID": "run-1",
    }


def test_secrets_are_masked_in_events_transcript_and_outcome(tmp_path: Path) -> None:
    secret = 'sk-"quoted"-0123456789'
    spec = specification(tmp_path, environment={"X_API_KEY": secret, "PLAIN": "visible-value"})
    outcome, events = worked(scripted("environment"), spec)
    kept = (spec.folder / "transcript.ndjson").read_text("utf-8")
    for told in (kept, repr(events), repr(outcome)):
        assert "0123456789" not in told
    assert "***X_API_KEY***" in kept
    assert "visible-value" in kept


def test_a_secret_inside_another_leaves_no_part_of_it() -> None:
    mask = Mask.of({"A_KEY": "abcdefgh", "B_KEY": "abcdefgh-longer"})
    assert mask.text("see abcdefgh-longer") == "see ***B_KEY***"


def test_the_transcript_tells_begin_work_and_end_in_order(tmp_path: Path) -> None:
    spec = specification(tmp_path)
    worked(scripted("success"), spec)
    lines = transcript(spec)
    assert [line["kind"] for line in lines] == ["start", "text", "tool", "tool", "end"]
    assert lines[0]["data"]["mark"] == spec.run_id
    assert lines[-1]["data"] == {"status": "succeeded", "exit_code": 0, "tool_calls": 1}


def test_a_prompt_of_any_length_reaches_the_agent_by_its_input(tmp_path: Path) -> None:
    spec = specification(tmp_path, prompt="word " * 200_000)
    outcome, events = worked(scripted("input"), spec)
    assert outcome.status == "succeeded"
    assert events[1].text == "1000000 characters"


def test_the_role_stands_before_the_prompt_once(tmp_path: Path) -> None:
    spec = specification(tmp_path, role="You are a gardener.")
    worked(scripted("input"), spec)
    kept = (spec.folder / "prompt.md").read_text("utf-8")
    assert kept == "You are a gardener.\n\nTidy the plan."
    twice = replace(spec, prompt=kept)
    worked(scripted("input"), twice)
    assert (spec.folder / "prompt.md").read_text("utf-8") == kept


TEMPLATE = ("{prompt}", "--mode", "{mode}", "{run_id}/{limit}", "{workspace}", "{other}")


def test_a_template_is_filled_word_by_word_without_a_shell(tmp_path: Path) -> None:
    prompt = 'Say "$(id)"; {mode} & done'
    words = (sys.executable, AGENT, "arguments", *TEMPLATE)
    spec = specification(tmp_path, prompt=prompt, mode="code", run_id="r 1")
    _, events = worked(CommandRunner(words, bounds=QUICK), spec)
    message = json.loads(events[1].text)["message"]["content"]
    told = [prompt, "--mode", "code", "r 1/120", str(spec.root), "{other}"]
    assert json.loads(message) == told


def test_the_option_of_a_mode_goes_where_there_is_no_mode(tmp_path: Path) -> None:
    words = (sys.executable, AGENT, "arguments", *TEMPLATE[:3])
    _, events = worked(CommandRunner(words, bounds=QUICK), specification(tmp_path))
    assert json.loads(json.loads(events[1].text)["message"]["content"]) == ["Tidy the plan."]


@pytest.mark.parametrize(
    ("prompt", "told"), [("--version", "Your task: --version"), ("x", "Your task: x")]
)
def test_a_prompt_cannot_be_taken_for_an_option_or_a_command(
    tmp_path: Path, prompt: str, told: str
) -> None:
    _, events = worked(plain("0", "{prompt}"), specification(tmp_path, prompt=prompt))
    assert events[1].text == f"plain {told}"


def test_a_prompt_too_long_for_an_argument_is_named_by_its_file(tmp_path: Path) -> None:
    spec = specification(tmp_path, prompt="word " * 50_000)
    outcome, events = worked(plain("0", "{prompt}"), spec)
    assert outcome.status == "succeeded"
    assert str(spec.folder / "prompt.md") in events[1].text
    assert (spec.folder / "prompt.md").read_text("utf-8") == spec.prompt


@pytest.mark.parametrize(("code", "status"), [(0, "succeeded"), (7, "failed")])
def test_a_plain_command_succeeds_by_exit_0_alone_and_says_so(
    tmp_path: Path, code: int, status: str
) -> None:
    outcome, _ = worked(plain(str(code)), specification(tmp_path))
    assert (outcome.status, outcome.exit_code) == (status, code)
    assert ("no preset" in outcome.reason) == (code == 0)


def test_a_program_that_is_not_there_fails_with_a_sentence(tmp_path: Path) -> None:
    runner = CommandRunner(("no-such-agent-anywhere", "{prompt}"))
    outcome, _ = worked(runner, specification(tmp_path))
    assert outcome.status == "failed"
    assert outcome.reason.startswith("The program `no-such-agent-anywhere` is not found.")


def test_a_program_of_the_workspace_is_never_started_by_a_bare_or_relative_name(
    tmp_path: Path,
) -> None:
    spec = specification(tmp_path)
    planted = spec.root / "planted-agent"
    planted.write_text("#!/bin/sh\ntouch planted-ran\n", "utf-8")
    planted.chmod(0o755)
    given = {"PATH": f"{spec.root}:{os.environ['PATH']}"}
    for name in ("planted-agent", "./planted-agent"):
        outcome, _ = worked(CommandRunner((name,)), replace(spec, environment=given))
        assert outcome.status == "failed"
    assert not (spec.root / "planted-ran").exists()
