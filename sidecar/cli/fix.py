"""``sidecar fix``: apply the quick fixes that are safe."""

from __future__ import annotations

import argparse
import difflib
import sys

from sidecar.cli.arguments import add_workspace_argument
from sidecar.cli.asking import asked
from sidecar.cli.main import REFUSED, refuse
from sidecar.cli.root import root_of
from sidecar.cli.targets import Target, targets
from sidecar.cli.visible import one_line, visible
from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.host.workspace import open_workspace
from sidecar.services.diagnosis import decoded
from sidecar.services.fixes import fixed
from sidecar.services.project import MAX_STATE_FILE_BYTES, load_project

# Bytes that hold a character whatever it is.
_ONE_CHARACTER = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, or folders to search")
    add_workspace_argument(parser)
    parser.add_argument(
        "--unsafe", action="store_true", help="also apply fixes that may change a meaning"
    )
    parser.add_argument(
        "--diff", action="store_true", help="print what would change, and change nothing"
    )


def run(options: argparse.Namespace) -> int:
    """Fix each file in turn, keeping backups; exit 2 where one could not be read."""
    code = 0
    for target in targets(options.paths or [str(root_of(options))]):
        try:
            _fix(target, unsafe=options.unsafe, diff=options.diff)
        except SidecarError as error:
            print(f"{one_line(target.shown)}: not fixed: {one_line(str(error))}", file=sys.stderr)
            code = REFUSED
    return code


def _fix(target: Target, *, unsafe: bool, diff: bool) -> None:
    if target.kind is None:
        raise refuse("Its name says no known kind of file.")
    context = open_workspace(target.root)
    workspace, settings = context.workspace, context.settings
    content = workspace.files.read(target.path, limit=MAX_STATE_FILE_BYTES)
    before = decoded(target.kind, content.data)
    project = load_project(workspace, settings, context.clock())
    after, applied = fixed(target.kind, target.path, before, project, settings, unsafe=unsafe)
    if diff:
        told = _diff(before, after, target.shown)
        print(visible(told) if sys.stdout.isatty() else told, end="")
        return
    if after != before:
        _refuse_unsaved(target)
        workspace.files.write(
            target.path, after.encode(), if_match=content.sha256, backup="sidecar fix"
        )
    for each in applied:
        print(one_line(f"{target.shown}: {each.code}: {each.title}"))
    count = "1 fix" if len(applied) == 1 else f"{len(applied)} fixes"
    print(one_line(f"{target.shown}: {count} applied"))


def _refuse_unsaved(target: Target) -> None:
    """Raise E_CONFLICT where an editor holds another text of the file than the disk does.

    An editor may have opened any folder above; each one's sidecar knows its own editors.
    """
    file = target.root / target.path
    for folder in file.parents:
        path = file.relative_to(folder).as_posix()
        question = {"file_path": path, "unit": "byte", "limit": _ONE_CHARACTER}
        told = asked(str(folder), "read_project_file", question)
        if told and told.structured.get("source") == "editor":
            raise SidecarError(
                ErrorCode.CONFLICT,
                "It is open in an editor with unsaved text.",
                hint="Save it there, then repeat; or take the quick fixes that the editor offers.",
            )


def _diff(before: str, after: str, name: str) -> str:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
