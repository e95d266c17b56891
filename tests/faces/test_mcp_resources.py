"""Resources, the addresses of their parts, and what completes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from sidecar import app
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.mcp import calls, server
from sidecar.mcp.resources import FAMILIES, MAX_BYTES, Source, find, read
from sidecar.services.registry import TOOLS
from sidecar.services.tool import Result
from sidecar.workspace.workspace import Workspace


async def value(client: Client, uri: str) -> Any:
    """A resource's JSON; it must come under the address that was asked for."""
    [contents] = (await client.read_resource(uri)).contents
    assert (contents.uri, contents.mime_type) == (uri, "application/json")
    return json.loads(contents.text)


async def values(client: Client, template: str, argument: str, typed: str = "") -> list[str]:
    """What completes a part of an address."""
    reference = ResourceTemplateReference(type="ref/resource", uri=template)
    told = await client.complete(reference, {"name": argument, "value": typed})
    return told.completion.values


async def test_every_template_is_listed_and_every_completed_part_can_be_read(context):
    async with Client(app.mcp_server(context)) as client:
        TOOLS["delegate_task"].call(context, {"task_description": "Write a test"})
        TOOLS["run_validation"].call(context, {"validation_type": "orchestrator_files"})
        listed = (await client.list_resource_templates()).resource_templates
        assert {each.uri_template for each in listed} == {
            "sidecar://schedules/{id}", "sidecar://modes/{slug}", "sidecar://todo/{section}",
            "sidecar://memory/{section}", "sidecar://diagnostics/{+path}", "sidecar://runs/{id}",
        }  # fmt: skip
        for family in FAMILIES.values():
            parts = await values(client, family.template, family.part)
            assert parts, family.name
            for part in parts:
                assert await value(client, family.source(part).uri)


async def test_a_task_and_a_validation_are_runs(context):
    async with Client(app.mcp_server(context)) as client:
        task = TOOLS["delegate_task"].call(context, {"task_description": "Write a test"})
        claimed = TOOLS["delegate_task"].call(context, {"action": "claim"})
        assert claimed.lease_token
        told = await value(client, f"sidecar://runs/{task.task_id}")
        assert (told["kind"], told["state"], told["description"]) == (
            "task",
            "claimed",
            "Write a test",
        )
        assert claimed.lease_token not in json.dumps(told)
        assert (await value(client, "sidecar://validation/latest"))["status"] == "none"
        run = TOOLS["run_validation"].call(context, {"validation_type": "orchestrator_files"})
        told = await value(client, "sidecar://validation/latest")
        assert (told["run_id"], told["status"]) == (run.run_id, "finished")
        same = await value(client, f"sidecar://runs/{run.run_id}")
        assert same | {"timestamp": told["timestamp"]} == told


@pytest.mark.parametrize(
    "uri",
    [
        "sidecar://nothing", "sidecar://modes/no-such-mode", "sidecar://runs/task-none",
        "sidecar://runs/..%2F..%2Fsecret", "sidecar://runs/../../secret", "sidecar://modes/",
        "sidecar://diagnostics/../../etc/passwd", "sidecar://", "file:///etc/passwd",
        "sidecar://modes/" + "x" * 5_000, "sidecar://todo/%FF", "sidecar://memory/%00",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_the_askers_fault_and_names_the_address(context, uri):
    async with Client(app.mcp_server(context)) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
        assert refused.value.error.code == -32602
        assert refused.value.error.data["uri"] in uri
        assert str(context.workspace.root) not in refused.value.error.message


async def test_values_that_begin_so_come_before_those_that_contain_it(context):
    async with Client(app.mcp_server(context)) as client:
        found = await values(client, "sidecar://modes/{slug}", "slug", "unit")
        assert found
        assert all("unit" in each for each in found)
        assert await values(client, "sidecar://modes/{slug}", "other") == []
        assert await values(client, "sidecar://elsewhere/{slug}", "slug") == []
        reference = PromptReference(type="ref/prompt", name="orchestrate")
        told = await client.complete(reference, {"name": "stage", "value": "PLA"})
        assert told.completion.values == ["planning"]
        reference = PromptReference(type="ref/prompt", name="fix-config")
        told = await client.complete(reference, {"name": "path", "value": ".roo"})
        assert ".roomodes" in told.completion.values


async def test_a_workspace_without_files_completes_nothing_and_still_answers(
    context, tmp_path_factory
):
    workspace = Workspace.open(tmp_path_factory.mktemp("nothing"))
    async with Client(app.mcp_server(replace(context, workspace=workspace))) as client:
        for family in FAMILIES.values():
            await values(client, family.template, family.part)
        assert await values(client, "sidecar://schedules/{id}", "id") == []


def test_a_resource_too_long_for_a_client_is_refused(context):
    long = Source("long", "Long", "Too long", lambda _: "x" * (MAX_BYTES + 1))
    with pytest.raises(SidecarError) as refused:
        read(context, long)
    assert refused.value.code is ErrorCode.TOO_LARGE


def test_a_result_too_long_for_a_client_is_refused():
    class Long(Result):
        text: str

        def summary(self) -> str:
            return self.text

    size = calls.MAX_RESULT_BYTES // 2
    fitting = server.told(calls.answering(Long(text="x" * (size - 1_000))))
    assert fitting.structured_content["success"]
    refused = server.told(calls.answering(Long(text="x" * size)))
    assert refused.is_error
    assert refused.structured_content["error_code"] == ErrorCode.TOO_LARGE
    told = json.loads(calls.answering(Long(text="x" * size)).message(7))
    assert told["id"] == 7
    assert told["result"]["structuredContent"]["error_code"] == ErrorCode.TOO_LARGE


def test_a_part_is_named_by_its_own_characters():
    for family in FAMILIES.values():
        found = find(family.source("a b/ü%").uri)
        assert found.uri == family.source("a b/ü%").uri
