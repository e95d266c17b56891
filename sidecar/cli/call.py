"""``sidecar call``: call one of the 20 tools, print its structured result as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.cli.visible import as_json, visible
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.engine.late_queue import queueing
from sidecar.host.workspace import open_workspace
from sidecar.services import refusal
from sidecar.services.calling import called
from sidecar.services.registry import resolve

TOOL_ERROR = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("tool", help="the tool's name")
    parser.add_argument(
        "arguments", nargs="?", default="{}", help="its arguments as a JSON object, - for stdin"
    )
    parser.add_argument("--text", action="store_true", help="print the text form instead of JSON")
    add_workspace_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Exit 0 with the result, 1 with the tool's refusal."""
    try:
        tool = resolve(options.tool)
        arguments = _arguments(options.arguments)
        result = called(tool, queueing(open_workspace(root_of(options))), arguments)
    except SidecarError as error:
        _print(refusal.structured(error))
        return TOOL_ERROR
    if options.text:
        print(visible(result.summary()))
    else:
        _print(result.structured())
    return 0


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise SidecarError(ErrorCode.INVALID, f"The arguments are not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise SidecarError(ErrorCode.INVALID, "The arguments must be a JSON object.")
    return value


def _print(value: dict[str, Any]) -> None:
    print(as_json(value))
