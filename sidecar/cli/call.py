"""``sidecar call``: call one of the 20 tools, print its structured result as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.asking import Told, asked
from sidecar.cli.root import root_of
from sidecar.cli.visible import as_json, visible
from sidecar.domain.errors import ErrorCode, SidecarError

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
    told = _told(options)
    if options.text and not told.is_error:
        print(visible(told.text))
    else:
        print(as_json(told.structured))
    return TOOL_ERROR if told.is_error else 0


def _told(options: argparse.Namespace) -> Told:
    """What the tool said: by the workspace's sidecar where one runs, else in this process."""
    trouble = None
    try:
        root, arguments = root_of(options), _arguments(options.arguments)
        told = asked(str(root), options.tool, arguments)
        if told is not None:
            return told
    except SidecarError as error:
        trouble = error
    from sidecar.cli import calling  # noqa: PLC0415 - takes six times as long as asking a sidecar

    return calling.refused(trouble) if trouble else calling.alone(root, options.tool, arguments)


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise SidecarError(ErrorCode.INVALID, f"The arguments are not JSON: {error}.") from None
    except RecursionError:
        raise SidecarError(ErrorCode.INVALID, "The arguments are nested too deeply.") from None
    if not isinstance(value, dict):
        raise SidecarError(ErrorCode.INVALID, "The arguments must be a JSON object.")
    return value
