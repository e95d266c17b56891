"""What the model must have received, and what must lie on disk: the same as without an agent."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model import Step

from sidecar.domain.errors import SidecarError
from sidecar.mcp import calls
from sidecar.services.calling import called
from sidecar.services.context import Client, Context
from sidecar.services.registry import resolve
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

# Moments, ids and names of clients differ from call to call.
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<moment>"),
    (re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}"), "<id>"),
    (re.compile(r"^## \[<moment>\] \[[^\]]*\]", re.MULTILINE), "## [<moment>] [<client>]"),
)
_OWN_STATE = ".sidecar"


@dataclass(frozen=True)
class Expected:
    """One call's result in both forms, what differs from call to call masked."""

    structured: Any
    text: str
    is_error: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a result arrived, and in which form: whole, structured, text or none."""

    form: str
    complaint: str = ""


def expected(steps: Sequence[Step], workspace: Path, user: Path) -> list[Expected]:
    """What the steps give on a copy of the workspace, called in this process."""
    opened = Workspace.open(workspace, user_dir=user)
    context = Context(opened, Settings(), client=Client("model"))
    return [_expected(step, context) for step in steps]


def _expected(step: Step, context: Context) -> Expected:
    tool = resolve(step.tool)
    try:
        answer = calls.answering(called(tool, context, step.arguments)).fitting()
    except SidecarError as refusal:
        answer = calls.refusing(refusal)
    return Expected(masked_value(answer.structured), masked(answer.text), answer.is_error)


def judged(received: str, wanted: Expected) -> Verdict:
    """Whether what a model received is complete and right, in the form that its agent passes on."""
    document = _document(received)
    if isinstance(document, dict) and ("structuredContent" in document or "content" in document):
        return _whole(document, wanted)
    if isinstance(document, dict) and "success" in document:
        right = masked_value(document) == wanted.structured
        return Verdict("structured", "" if right else f"wrong values: {received[:300]}")
    right = _plain(wanted.text) in _plain(masked(received))
    return Verdict("text" if right else "none", "" if right else f"received: {received[:300]}")


def _whole(document: dict[str, Any], wanted: Expected) -> Verdict:
    texts = "\n".join(part.get("text", "") for part in document.get("content", []))
    checks = {
        "text": masked(texts) == wanted.text,
        "structuredContent": masked_value(document.get("structuredContent")) == wanted.structured,
        "isError": bool(document.get("isError")) == wanted.is_error,
    }
    return Verdict(
        "whole", ", ".join(f"wrong {name}" for name, right in checks.items() if not right)
    )


def _document(received: str) -> Any:
    """The JSON object in a text that may have a line or two before it."""
    start = received.find("{")
    if start < 0:
        return None
    try:
        return json.JSONDecoder(strict=False).raw_decode(received[start:])[0]
    except ValueError:
        return None


def _plain(text: str) -> str:
    """A text without the escapes that keep it from ending a tag around it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def masked(text: str) -> str:
    """A text without what differs from call to call."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


def masked_value(value: Any) -> Any:
    """A JSON value without what differs from call to call."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [masked_value(each) for each in value]
    if isinstance(value, dict):
        return {key: masked_value(each) for key, each in value.items()}
    return value


def wrong_files(workspace: Path, wanted: Path) -> list[str]:
    """The files of ``wanted`` that are not the same in the workspace, moments and ids aside."""
    files = [path.relative_to(wanted) for path in sorted(wanted.rglob("*")) if path.is_file()]
    return [
        str(path)
        for path in files
        if path.parts[0] != _OWN_STATE and _file(workspace / path) != _file(wanted / path)
    ]


def _file(path: Path) -> str | None:
    return masked(path.read_text("utf-8")) if path.is_file() else None
