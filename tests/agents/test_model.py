"""The scripted model speaks each protocol, and a step's result leads to the next step."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from judging import Expected, judged
from model import DONE, Script, Step, serving

STEPS = (Step("read_it", {"a": 1}), Step("write_it", {"b": "ü"}))
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}


def chat(tools: list[str], results: list[str]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go"}]
    for number, name in enumerate(results):
        call = {"id": f"c{number}", "function": {"name": name, "arguments": "{}"}}
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": "ok"})
    functions = [{"function": {"name": name, "parameters": PARAMETERS}} for name in tools]
    return {"messages": messages, "tools": functions}


def responses(tools: list[str], results: list[str]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"type": "message", "role": "user", "content": "Go"}]
    for number, name in enumerate(results):
        items.append({"type": "function_call", "call_id": f"c{number}", "name": name})
        items.append({"type": "function_call_output", "call_id": f"c{number}", "output": "ok"})
    inner = [{"type": "function", "name": name, "parameters": PARAMETERS} for name in tools]
    return {"input": items, "tools": [{"type": "namespace", "name": "mcp", "tools": inner}]}


def anthropic(tools: list[str], results: list[str]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Go"}]
    for number, name in enumerate(results):
        call = {"type": "tool_use", "id": f"c{number}", "name": name, "input": {}}
        answer = {"type": "tool_result", "tool_use_id": f"c{number}", "content": "ok"}
        messages.append({"role": "assistant", "content": [call]})
        messages.append({"role": "user", "content": [answer]})
    return {"messages": messages, "tools": [{"name": n, "input_schema": PARAMETERS} for n in tools]}


def gemini(tools: list[str], results: list[str]) -> dict[str, Any]:
    answers = [{"functionResponse": {"name": n, "response": {"output": "ok"}}} for n in results]
    declared = [{"name": name, "parametersJsonSchema": PARAMETERS} for name in tools]
    return {"contents": [{"parts": answers}], "tools": [{"functionDeclarations": declared}]}


PROTOCOLS = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": anthropic,
    "/v1beta/models/x:generateContent": gemini,
}


def ask(address: str, body: dict[str, Any]) -> str:
    data = json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("path", PROTOCOLS)
def test_the_results_in_a_request_choose_the_step(path: str, tmp_path: Path) -> None:
    speak = PROTOCOLS[path]
    tools = ["find", "mcp__x__read_it", "mcp__x__write_it"]
    with serving(Script(STEPS, {"find": {"q": "x"}}), tmp_path / "log") as model:
        first = ask(model.address + path, speak(tools, []))
        second = ask(model.address + path, speak(tools, ["mcp__x__read_it"]))
        last = ask(model.address + path, speak(tools, ["mcp__x__read_it", "mcp__x__write_it"]))
        lost = ask(model.address + path, speak(tools[:1], []))
        streamed = ask(model.address + path, {**speak(tools, []), "stream": True})
    assert "mcp__x__read_it" in first
    assert "mcp__x__write_it" in second
    assert DONE in last
    assert "find" in lost
    assert "mcp__x__read_it" in streamed
    if path != "/v1beta/models/x:generateContent":  # there the path asks for a stream
        assert streamed.count("data: ") > 0
    assert model.turns[0].conversation.offered[1].parameters == {"a"}
    assert [each.tool for each in model.turns[1].conversation.returned] == ["mcp__x__read_it"]


RIGHT = Expected({"success": True, "id": "<id>"}, "Made <id>.", is_error=False)
VALUES = '{"success": true, "id": "20261122T113817-9ade8847"}'
WHOLE = (
    '{"content": [{"type": "text", "text": "Made 20261122T113817-9ade8847."}],'
    f' "structuredContent": {VALUES}}}'
)


@pytest.mark.parametrize(
    ("received", "form", "is_right"),
    [
        (WHOLE, "whole", True),
        (WHOLE.replace("Made", "Did"), "whole", False),
        (f"Wall time: 1 s\nOutput:\n{VALUES}", "structured", True),
        (VALUES.replace("true", "false"), "structured", False),
        ("<tag>Made 20261122T113817-9ade8847.</tag>", "text", True),
        ("Made nothing.", "none", False),
    ],
)
def test_a_result_is_judged_in_the_form_it_arrived_in(
    received: str, form: str, *, is_right: bool
) -> None:
    verdict = judged(received, RIGHT)
    assert (verdict.form, not verdict.complaint) == (form, is_right)
