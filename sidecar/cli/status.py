"""``sidecar status``: whether the workspace's sidecar runs, who is connected, what it does."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sidecar.channel import seat
from sidecar.channel.message import Json
from sidecar.channel.place import Place, place_of
from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.root import root_of
from sidecar.cli.visible import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_workspace_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print what is known; exit code 0 whether one runs or not."""
    place = place_of(str(root_of(options)))
    told = asked(place)
    if options.json:
        print(json.dumps(told, indent=2))
    elif not told["running"]:
        print(f"No sidecar runs for {one_line(place.root)}.")
    else:
        _show(told)
    return 0


def asked(place: Place) -> Json:
    """What the sidecar of a place says of itself."""
    link = seat.ask(place, seat.greeting("status", place))
    if link is None:
        return {"running": False, "workspace": place.root}
    link.close()
    return link.answer


def _show(told: Json) -> None:
    memory = told["memory_bytes"]
    size = "" if memory is None else f", {memory // 1_000_000} MB"
    how = "`sidecar serve`" if told["started_by"] == "serve" else "a client"
    print(f"sidecar {told['version']} on Python {told['interpreter']}")
    print(f"  workspace  {one_line(told['workspace'])}{_read_only(told)}")
    print(f"  process    {told['pid']}, started by {how} at {told['since']}{size}")
    for client in told["clients"]:
        print(f"  {client['face']}        {_client(client)}")
    for each in told["runs"]:
        print(f"  runs       {one_line(each)}")
    if told["leaving"]:
        print(f"  It ends: {told['leaving']}")
    print(f"  log        {one_line(told['log'])}")


def _client(client: dict[str, Any]) -> str:
    name = one_line(client["client"] or "not introduced yet")
    work = ", ".join(client["under_way"]) or "idle"
    since = f"version {client['version']}, since {client['since']}"
    return f"{name}, process {client['pid']}, {since}: {work}"


def _read_only(told: Json) -> str:
    return " (read-only: whatever would change a file is refused)" if told["read_only"] else ""
