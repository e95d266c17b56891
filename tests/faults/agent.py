"""An agent in our own process: every call goes the whole way of the MCP face but for the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.domain.errors import SidecarError
from sidecar.mcp import calls
from sidecar.services.calling import called
from sidecar.services.context import Client, Context
from sidecar.services.registry import resolve
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

# Every tool that takes a path, with the arguments that make it use one.
PATH_TOOLS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "read": ("read_project_file", lambda path: {"file_path": path}),
    "write": ("write_project_file", lambda path: {"file_path": path, "content": "overwritten"}),
    "append": (
        "write_project_file",
        lambda path: {"file_path": path, "content": "appended", "append": True},
    ),
    "list": ("list_project_structure", lambda path: {"directory": path, "include_hidden": True}),
    "search": ("search_in_files", lambda path: {"directory": path, "pattern": "."}),
    "backup": ("backup_file", lambda path: {"file_path": path}),
    "restore": ("restore_file", lambda path: {"file_path": path}),
    "validate": (
        "run_validation",
        lambda path: {"target_path": path, "validation_type": "file_integrity"},
    ),
    "rollback": (
        "error_recovery",
        lambda path: {
            "operation": "write_project_file",
            "error_context": {"path": path},
            "recovery_strategy": "rollback",
            "create_checkpoint": False,
        },
    ),
}


@dataclass(frozen=True)
class Answer:
    """Both forms of a tool's answer."""

    refused: bool
    told: dict[str, Any]
    text: str

    @property
    def code(self) -> str:
        """The error code, empty where the call was done."""
        return str(self.told.get("error_code", ""))

    @property
    def everything(self) -> str:
        """All that the agent gets to see."""
        return json.dumps(self.told, ensure_ascii=False, default=str) + self.text


@dataclass(frozen=True, repr=False)
class Agent:
    """A caller of the 20 tools on one workspace; an unexpected exception is not caught."""

    context: Context

    @classmethod
    def at(cls, root: Path, **settings: Any) -> Agent:
        """An agent on a folder."""
        workspace = Workspace.open(root, protected=settings.get("protected", ()))
        return cls(Context(workspace, Settings(**settings), client=Client("agent", "faults")))

    def call(self, name: str, **arguments: Any) -> Answer:
        """Call a tool."""
        try:
            answer = calls.answering(called(resolve(name), self.context, arguments)).fitting()
        except SidecarError as error:
            answer = calls.refusing(error)
        told = json.loads(json.dumps(answer.structured))
        return Answer(answer.is_error, told, answer.text)

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self.context.workspace.root

    def put(self, name: str, data: bytes | str) -> None:
        """Put a file into the workspace, past the tools."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def get(self, name: str) -> bytes:
        """A file of the workspace as it is on disk."""
        return (self.root / name).read_bytes()

    def size(self, name: str) -> int:
        """The size that a listing tells."""
        listed = self.call("list_project_structure", file_pattern=name).told["entries"]
        return next(int(entry["size"]) for entry in listed if entry["path"] == name)

    def content(self, name: str, **arguments: Any) -> str:
        """What a read tells."""
        return str(self.call("read_project_file", file_path=name, **arguments).told["content"])

    def diff(self, name: str, text: str) -> str:
        """What a dry run of a write tells."""
        answer = self.call("write_project_file", file_path=name, content=text, dry_run=True)
        return str(answer.told.get("diff", ""))

    def edit(self, name: str, *changes: tuple[str, str]) -> bytes:
        """Read, change and write a file on condition that nobody else wrote; its bytes then."""
        for old, new in changes:
            read = self.call("read_project_file", file_path=name).told
            text = read["content"].replace(old, new)
            written = self.call(
                "write_project_file", file_path=name, content=text, if_match=read["etag"]
            )
            assert not written.refused
        return self.get(name)

    def use(self, way: str, path: str) -> Answer:
        """Use a path in one of the ways of ``PATH_TOOLS``."""
        name, arguments = PATH_TOOLS[way]
        return self.call(name, **arguments(path))
