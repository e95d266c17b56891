"""Four model protocols: what a request says, and how an answer is spelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

Json = dict[str, Any]
MODEL = "fake-model"


@dataclass(frozen=True)
class Offered:
    """A tool as the model is told of it."""

    name: str
    description: str
    parameters: frozenset[str]
    namespace: str = ""


@dataclass(frozen=True)
class Returned:
    """What an agent says that a call of a tool gave."""

    tool: str
    text: str


def _new_id() -> str:
    return "call_" + uuid4().hex[:12]


@dataclass(frozen=True)
class Said:
    """The model's answer: a sentence."""

    text: str
    id: str = field(default_factory=_new_id)


@dataclass(frozen=True)
class Called:
    """The model's answer: a call of a tool."""

    tool: Offered
    arguments: Json
    id: str = field(default_factory=_new_id)


Answer = Said | Called


@dataclass(frozen=True)
class Conversation:
    """What a request says, whatever its protocol."""

    offered: list[Offered]
    returned: list[Returned]


@dataclass(frozen=True)
class Dialect:
    """One protocol: reading a request, and the events or the document of an answer."""

    read: Callable[[Json], Conversation]
    events: Callable[[Answer], list[Json]]
    whole: Callable[[Answer], Json]
    named_events: bool = False
    end: str = ""


def _offered(name: str, description: Any, schema: Any, namespace: str = "") -> Offered:
    properties = (schema or {}).get("properties") or {}
    return Offered(name, str(description or ""), frozenset(properties), namespace)


def _text(content: Any) -> str:
    """The text of a content that may be a string, a list of parts, or a document."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(part) for part in content)
    if isinstance(content, dict):
        known = [content[key] for key in ("text", "output", "content") if key in content]
        return _text(known[0]) if known else json.dumps(content, ensure_ascii=False)
    return "" if content is None else str(content)


def _returned(names: dict[str, str], answers: Iterable[tuple[str, Any]]) -> list[Returned]:
    return [Returned(names.get(key, ""), _text(content)) for key, content in answers]


def _read_chat(body: Json) -> Conversation:
    functions = [each.get("function", {}) for each in body.get("tools") or []]
    messages = body.get("messages", [])
    names = {
        call["id"]: call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or []
    }
    answers = [(m["tool_call_id"], m.get("content")) for m in messages if m["role"] == "tool"]
    offered = [_offered(f["name"], f.get("description"), f.get("parameters")) for f in functions]
    return Conversation(offered, _returned(names, answers))


def _chat_message(answer: Answer) -> Json:
    if isinstance(answer, Said):
        return {"role": "assistant", "content": answer.text}
    function = {"name": answer.tool.name, "arguments": json.dumps(answer.arguments)}
    call = {"index": 0, "id": answer.id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _chat(answer: Answer, part: str, kind: str) -> Json:
    reason = "stop" if isinstance(answer, Said) else "tool_calls"
    choice = {"index": 0, part: _chat_message(answer), "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    known = {
        "id": "chat_" + answer.id,
        "object": kind,
        "created": 1,
        "model": MODEL,
        "usage": usage,
    }
    return {**known, "choices": [choice]}


def _read_responses(body: Json) -> Conversation:
    offered = []
    for each in body.get("tools") or []:
        if each.get("type") == "namespace":
            inner = each.get("tools", [])
            place = each["name"]
            offered += [
                _offered(t["name"], t.get("description"), t.get("parameters"), place) for t in inner
            ]
        else:
            name = each.get("name") or each.get("type", "")
            offered.append(_offered(name, each.get("description"), each.get("parameters")))
    given = body.get("input")
    items = given if isinstance(given, list) else []
    calls = [item for item in items if item.get("type") == "function_call"]
    names = {item["call_id"]: item["name"] for item in calls}
    answers = [
        (item["call_id"], item.get("output"))
        for item in items
        if item.get("type") == "function_call_output"
    ]
    return Conversation(offered, _returned(names, answers))


def _responses_item(answer: Answer) -> Json:
    if isinstance(answer, Said):
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        known = {
            "type": "message",
            "id": "msg_" + answer.id,
            "role": "assistant",
            "status": "completed",
        }
        return {**known, "content": content}
    item = {
        "type": "function_call",
        "id": "fc_" + answer.id,
        "call_id": answer.id,
        "name": answer.tool.name,
        "arguments": json.dumps(answer.arguments),
        "status": "completed",
    }
    return {**item, "namespace": answer.tool.namespace} if answer.tool.namespace else item


def _responses(answer: Answer) -> Json:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    known = {"id": "resp_" + answer.id, "object": "response", "created_at": 1, "model": MODEL}
    return {**known, "status": "completed", "output": [_responses_item(answer)], "usage": usage}


def _responses_events(answer: Answer) -> list[Json]:
    whole = _responses(answer)
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": []}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]


def _read_anthropic(body: Json) -> Conversation:
    tools = body.get("tools") or []
    offered = [
        _offered(tool.get("name", ""), tool.get("description"), tool.get("input_schema"))
        for tool in tools
    ]
    contents = [message.get("content") for message in body.get("messages", [])]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    names = {block["id"]: block["name"] for block in blocks if block.get("type") == "tool_use"}
    answers = [
        (block["tool_use_id"], block.get("content"))
        for block in blocks
        if block.get("type") == "tool_result"
    ]
    return Conversation(offered, _returned(names, answers))


def _anthropic(answer: Answer) -> Json:
    if isinstance(answer, Said):
        block: Json = {"type": "text", "text": answer.text}
    else:
        block = {"type": "tool_use", "id": answer.id, "name": answer.tool.name}
        block["input"] = answer.arguments
    reason = "end_turn" if isinstance(answer, Said) else "tool_use"
    known = {"id": "msg_" + answer.id, "type": "message", "role": "assistant", "model": MODEL}
    usage = {"input_tokens": 10, "output_tokens": 5}
    ended = {"stop_reason": reason, "stop_sequence": None, "usage": usage}
    return {**known, "content": [block], **ended}


def _anthropic_events(answer: Answer) -> list[Json]:
    whole = _anthropic(answer)
    (block,) = whole["content"]
    start = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    if isinstance(answer, Called):
        block = {**block, "input": {}}
        part = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
    else:
        block = {**block, "text": ""}
        part = {"type": "text_delta", "text": answer.text}
    ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    return [
        *start,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": part},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": whole["usage"]},
        {"type": "message_stop"},
    ]


def _read_gemini(body: Json) -> Conversation:
    declared = [f for tool in body.get("tools") or [] for f in tool.get("functionDeclarations", [])]
    offered = [
        _offered(
            f["name"], f.get("description"), f.get("parametersJsonSchema", f.get("parameters"))
        )
        for f in declared
    ]
    parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    return Conversation(offered, [Returned(a["name"], _text(a.get("response"))) for a in answers])


def _gemini(answer: Answer) -> Json:
    if isinstance(answer, Said):
        part: Json = {"text": answer.text}
    else:
        part = {"functionCall": {"name": answer.tool.name, "args": answer.arguments}}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL}


CHAT = Dialect(
    _read_chat,
    lambda answer: [_chat(answer, "delta", "chat.completion.chunk")],
    lambda answer: _chat(answer, "message", "chat.completion"),
    end="[DONE]",
)
RESPONSES = Dialect(_read_responses, _responses_events, _responses, named_events=True)
ANTHROPIC = Dialect(_read_anthropic, _anthropic_events, _anthropic, named_events=True)
GEMINI = Dialect(_read_gemini, lambda answer: [_gemini(answer)], _gemini)


def dialect_of(path: str) -> Dialect | None:
    """The protocol that a request's path belongs to."""
    if path.endswith("/chat/completions"):
        return CHAT
    if path.endswith("/responses"):
        return RESPONSES
    if path.endswith("/messages"):
        return ANTHROPIC
    return GEMINI if "enerateContent" in path else None
