"""The workspace's git, used as a store of contents: nothing of it or its configuration executes.

Only plumbing that takes contents as they are: no index is read for writing, no filter, hook,
monitor, diff driver or transport runs. The user's index, branches and work tree stay untouched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.services.context import Context
from sidecar.services.programs import outside
from sidecar.services.trust import is_trusted

REFERENCES = "refs/sidecar/checkpoints/"
SECONDS = 120.0
_OFF = (
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.pager=cat"),
    *("-c", "protocol.allow=never"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
)
_IMPORT = ("fast-import", "--quiet", "--force", "--done", "--date-format=raw")
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Blob:
    """One entry of a tree: its path, git's mode of it, and the name of its content."""

    path: str
    mode: str
    oid: str


@dataclass(frozen=True)
class GitObjects:
    """The objects of the repository that a workspace lies in."""

    program: str
    root: Path
    algorithm: str

    @classmethod
    def of(cls, context: Context) -> GitObjects | None:
        """The workspace's, None where there is none, no git, or nobody trusts the workspace."""
        root = context.workspace.root
        program = shutil.which("git", path=outside(root))
        if program is None or not is_trusted(context):
            return None
        found = cls(program, root, "sha1")
        try:
            told = found.run("rev-parse", "--is-inside-work-tree", "--show-object-format")
        except SidecarError:
            return None
        inside, _, algorithm = told.decode("ascii", "replace").strip().partition("\n")
        return cls(program, root, algorithm or "sha1") if inside == "true" else None

    def hash_of(self, size: int) -> Any:
        """The hash that names a content of so many bytes, begun."""
        begun = hashlib.new(self.algorithm, usedforsecurity=False)
        begun.update(b"blob %d\0" % size)
        return begun

    def paths(self) -> Iterator[str]:
        """The files of the work tree that git tracks, and others that it does not ignore."""
        told = self.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in told.split(b"\0"):
            if name and not name.endswith(b"/"):
                yield os.fsdecode(name)

    def missing(self, oids: Iterable[str]) -> set[str]:
        """Those contents that the repository does not have."""
        asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
        told = self.run("cat-file", "--batch-check=%(objectname)", given=asked)
        lines = told.decode("ascii", "replace").splitlines()
        return {line.partition(" ")[0] for line in lines if line.endswith(" missing")}

    def content(self, oid: str) -> bytes:
        """A content by its name; raises E_IO."""
        return self.run("cat-file", "blob", oid)

    def commit(
        self, name: str, blobs: Iterable[Blob], contents: Iterable[bytes], *, at: int
    ) -> None:
        """Point the private reference of that name to a commit of these blobs.

        ``contents`` are those that the repository lacks. Raises E_IO.
        """
        told = b"Work tree before a run"
        with tempfile.TemporaryFile() as stream:
            for data in contents:
                stream.write(b"blob\ndata %d\n%s\n" % (len(data), data))
            stream.write(f"commit {REFERENCES}{name}\n".encode())
            stream.write(b"committer Sidecar <sidecar@localhost> %d +0000\n" % at)
            stream.write(b"data %d\n%s\ndeleteall\n" % (len(told), told))
            for blob in blobs:
                stream.write(f"M {blob.mode} {blob.oid} ".encode() + _quoted(blob.path) + b"\n")
            stream.write(b"done\n")
            stream.seek(0)
            self._run(_IMPORT, stream)

    def forget(self, names: Iterable[str]) -> None:
        """Drop private references; those that are gone already are passed over."""
        told = "".join(f"delete {REFERENCES}{name}\n" for name in names).encode()
        if told:
            self.run("update-ref", "--stdin", given=told)

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a git command prints; raises E_IO where it fails or takes too long."""
        with tempfile.TemporaryFile() as stream:
            stream.write(given)
            stream.seek(0)
            return self._run(arguments, stream)

    def _run(self, arguments: Sequence[str], given: IO[bytes]) -> bytes:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        try:
            done = subprocess.run(  # noqa: S603 - git itself, in a workspace that a person trusts
                [self.program, "--no-pager", *_OFF, *arguments],
                cwd=self.root,
                env=kept | _ENVIRONMENT,
                stdin=given,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            message = f"`git {arguments[0]}` did not end or did not start."
            raise SidecarError(ErrorCode.IO, message) from error
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            why = (lines or ["it told no reason"])[-1][:200].replace(str(self.root), ".")
            raise SidecarError(ErrorCode.IO, f"`git {arguments[0]}` failed: {why}")
        return done.stdout


def _quoted(path: str) -> bytes:
    """A path as fast-import reads it."""
    named = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + named + b'"'
