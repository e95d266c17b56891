"""How every face calls a tool: what is accepted, refused, journaled and counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.calling import called
from sidecar.services.context import Client, Context
from sidecar.services.registry import TOOLS, resolve


def refusal(context: Context, tool: str, **arguments) -> SidecarError:
    with pytest.raises(SidecarError) as refused:
        called(resolve(tool), context, arguments)
    return refused.value


def test_an_unknown_argument_is_refused_with_the_nearest_and_the_list(context):
    error = refusal(context, "read_project_file", file_paht="TODO.md")
    assert error.code is ErrorCode.INVALID
    assert "`file_path` is required." in error.message
    assert "Did you mean `file_path`?" in error.message
    assert "`read_project_file` takes: file_path, encoding" in error.hint


def test_an_argument_of_the_wrong_type_or_choice_names_itself(context):
    assert "`limit`" in refusal(context, "get_todo_status", limit="many").message
    told = refusal(context, "delegate_task", action="creat").message
    assert told.startswith("`action`: input should be 'create', 'claim'")


def test_objects_and_lists_may_come_as_json_text(context):
    arguments = {"operation": "x", "error_context": '{"error": "no"}', "create_checkpoint": False}
    assert called(resolve("error_recovery"), context, arguments).failures == 1
    listed = {"target_components": '["temp"]', "dry_run": True}
    assert set(called(resolve("sync_environment"), context, listed).components) == {"temp"}
    assert (
        "`error_context`"
        in refusal(context, "error_recovery", operation="x", error_context="not json").message
    )


def test_half_characters_are_refused_wherever_they_stand(context):
    for arguments in ({"operation": "\ud800"}, {"error_context": {"\ud800": 1}}):
        given = {"operation": "x", "error_context": {}} | arguments
        error = refusal(context, "error_recovery", **given)
        assert error.code is ErrorCode.INVALID
        assert "half a character" in error.message


def test_json_text_nested_too_deeply_is_no_object(context):
    deep = "[" * 100_000
    error = refusal(context, "error_recovery", operation="x", error_context=deep)
    assert "`error_context`" in error.message


def test_every_change_is_journaled_with_its_tool_client_and_arguments(context):
    context = replace(context, client=Client("Cline", "s1"))
    arguments = {"file_path": "a.txt", "content": "x"}
    called(resolve("write_project_file"), context, arguments)
    [entry] = context.workspace.journal.entries(path="a.txt")
    assert (entry.tool, entry.client) == ("write_project_file", "Cline")
    assert len(entry.arguments_hash) == 64
    called(resolve("write_project_file"), context, arguments | {"content": "y"})
    assert context.workspace.journal.entries(path="a.txt")[1].arguments_hash != entry.arguments_hash


def test_failed_calls_are_counted(context):
    refusal(context, "read_project_file", file_path="nowhere")
    figures = context.meter.figures()["read_project_file"]
    assert (figures.calls, figures.failures) == (1, 1)


def test_the_old_names_resolve_and_a_wrong_one_gets_suggestions():
    for name, tool in TOOLS.items():
        assert resolve(f"{name}_tool") is tool
    with pytest.raises(SidecarError) as refused:
        resolve("get_scheduel_status")
    assert "`get_schedule_status`" in refused.value.hint
    with pytest.raises(SidecarError) as refused:
        resolve("zzz")
    assert "The tools are: get_schedule_status" in refused.value.hint
