"""Reading and writing any file of the project."""

from __future__ import annotations

import base64
import codecs
import mimetypes
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff
from hashlib import sha256
from io import StringIO
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.domain.finding import Severity
from sidecar.domain.kind import Kind
from sidecar.domain.source import Source
from sidecar.services.context import Context
from sidecar.services.diagnosis import decoded, diagnose
from sidecar.services.project import load_project
from sidecar.services.tool import Category, ChangeRequest, ChangeResult, Request, Result, tool
from sidecar.services.unsaved import NOT_SAVED, Stored, Update, present, update
from sidecar.workspace.files import Content
from sidecar.workspace.layout import kind_of

_MEGABYTE = 1_000_000
_DIFF_CHARACTERS = 20_000
_DIFF_LINES = 10_000
_UNENDED = "\n\\ No newline at end of file\n"
_CONTENT_BYTES = 16 * _MEGABYTE


class ReadProjectFileRequest(Request):
    """Which file, and which part of it."""

    file_path: Annotated[str, Field(description="Path in the workspace.")]
    encoding: Annotated[str, Field(description="Text encoding.")] = "utf-8"
    max_size_mb: Annotated[float | None, Field(gt=0, description="Refuse larger files.")] = None
    include_metadata: bool = False
    unit: Annotated[Literal["line", "byte"], Field(description="What offset and limit count.")] = (
        "line"
    )
    offset: Annotated[int, Field(ge=0, description="First line or byte, from 0.")] = 0
    limit: Annotated[int | None, Field(ge=1, description="How many at most.")] = None
    as_base64: Annotated[bool, Field(description="Raw bytes, for binary files.")] = False


class Metadata(BaseModel):
    """What is known of a file beside its content."""

    modified: datetime
    mode: str
    mime: str
    lines: int | None


class ReadProjectFile(Result):
    """One page of a file."""

    file_path: str
    content: str
    encoding: str
    size: int
    etag: str
    source: Literal["disk", "editor"]
    offset: int
    truncated: bool
    next_offset: int | None
    metadata: Metadata | None = None

    def summary(self) -> str:
        """Where the text is from, then the text."""
        rest = f"; continue at offset {self.next_offset}" if self.truncated else ""
        head = f"{self.file_path} ({self.size} bytes, {self.encoding}, from {self.source}"
        return f"{head}, etag {self.etag}{rest})\n{self.content}"


@tool(title="Read a file", category=Category.FILESYSTEM, read_only=True)
def read_project_file(context: Context, request: ReadProjectFileRequest) -> ReadProjectFile:
    """Read a file of the workspace exactly as stored, in pages of at most 1 MB.

    The etag (SHA-256 of the whole file) can be passed to write_project_file as if_match.

    Example:
        {"file_path": "TODO.md", "limit": 1}
        {"success": true, "file_path": "TODO.md", "offset": 0, "truncated": true, "next_offset": 1}
    """
    codec = request.encoding if request.as_base64 else _codec(request.encoding)
    limit = int(request.max_size_mb * _MEGABYTE) if request.max_size_mb else None
    content = context.workspace.files.read(request.file_path, limit=limit, prefer_editor=True)
    most = context.settings.max_read_bytes
    if request.as_base64:
        page = _base64_page(content, request, most)
    elif request.unit == "byte":
        page = _byte_page(content, request, codec, most)
    else:
        page = _line_page(content, request, codec, most)
    text, following = page
    return ReadProjectFile(
        file_path=content.path,
        content=text,
        encoding="base64" if request.as_base64 else codec,
        size=len(content.data),
        etag=content.sha256,
        source=content.source,
        offset=request.offset,
        truncated=following is not None,
        next_offset=following,
        metadata=_metadata(content) if request.include_metadata else None,
    )


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)  # refuses codecs between bytes and bytes, such as zip
    except (LookupError, ValueError, UnicodeError):
        message = f"`{name}` is not a text encoding."
        raise SidecarError(
            ErrorCode.INVALID, message, hint="Use utf-8, utf-16, latin-1 or cp1252, for example."
        ) from None
    return codec.name


def _mime(path: str) -> str:
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def _not_text(content: Content, codec: str, error: UnicodeError) -> SidecarError:
    place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
    message = f"`{content.path}` is not {codec} text{place} ({_mime(content.path)})."
    hint = "Set as_base64 for the raw bytes, or name another encoding."
    return SidecarError(ErrorCode.INVALID, message, hint=hint)


def _metadata(content: Content) -> Metadata:
    text = content.data.decode("utf-8", "replace")
    binary = b"\0" in content.data
    lines = None if binary else len([line for line in Source(text).lines if line])
    mode = f"{content.mode:04o}"
    return Metadata(modified=content.modified, mode=mode, mime=_mime(content.path), lines=lines)


def _base64_page(
    content: Content, request: ReadProjectFileRequest, most: int
) -> tuple[str, int | None]:
    offset = request.offset
    end = offset + min(request.limit or most, most)
    text = base64.b64encode(content.data[offset:end]).decode("ascii")
    return text, end if end < len(content.data) else None


def _byte_page(
    content: Content, request: ReadProjectFileRequest, codec: str, most: int
) -> tuple[str, int | None]:
    offset = request.offset
    end = min(offset + min(request.limit or most, most), len(content.data))
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        text = decoder.decode(content.data[offset:end], end == len(content.data))
    except UnicodeError as error:
        raise _not_text(content, codec, error) from None
    # A character cut off by the page's end belongs to the next page.
    end -= len(decoder.getstate()[0])
    if end <= offset < len(content.data):
        message = "The limit is smaller than one character."
        raise SidecarError(ErrorCode.INVALID, message, hint="Ask for at least 4 bytes.")
    return text, end if end < len(content.data) else None


def _line_page(
    content: Content, request: ReadProjectFileRequest, codec: str, most: int
) -> tuple[str, int | None]:
    try:
        text = content.data.decode(codec)
    except UnicodeError as error:
        raise _not_text(content, codec, error) from None
    if request.offset == 0 and request.limit is None and len(content.data) <= most:
        return text, None
    lines = Source(text).lines
    asked = lines[request.offset :][: request.limit]
    taken, size = 0, 0
    for line in asked:
        size += len(line.encode(codec, "replace"))
        if size > most:
            break
        taken += 1
    if asked and not taken:
        message = f"Line {request.offset} of `{content.path}` alone is over {most:,} bytes."
        raise SidecarError(ErrorCode.TOO_LARGE, message, hint="Read it with unit=byte.")
    following = request.offset + taken
    rest = any(lines[following:])
    return "".join(asked[:taken]), following if rest else None


class WriteProjectFileRequest(ChangeRequest):
    """Which file gets which text, and on what condition."""

    file_path: Annotated[str, Field(description="Path in the workspace.")]
    content: Annotated[str, Field(max_length=_CONTENT_BYTES, description="The whole new text.")]
    encoding: Annotated[str, Field(description="Text encoding.")] = "utf-8"
    create_backup: bool = True
    append: Annotated[bool, Field(description="Add at the end instead of replacing.")] = False
    ensure_directory: Annotated[bool, Field(description="Create missing folders.")] = True
    if_match: Annotated[str | None, Field(description="Etag that the file must have.")] = None


class WriteProjectFile(ChangeResult):
    """What the write did, or would do."""

    file_path: str
    operation: Literal["created", "replaced", "appended", "unchanged"]
    size: int
    etag: str
    previous_etag: str | None
    backup_id: str | None
    lines_added: int
    lines_removed: int
    stored: Stored = "disk"
    diff: str | None = None

    def summary(self) -> str:
        """What was done, and how to undo it."""
        done = f"Would be {self.operation}" if self.dry_run else self.operation.capitalize()
        counts = f"+{self.lines_added} -{self.lines_removed} lines, {self.size} bytes"
        backup = f" Backup: {self.backup_id}." if self.backup_id else ""
        diff = f"\n{self.diff}" if self.diff else ""
        shown = self.stored == "editor" and self.operation != "unchanged" and not self.dry_run
        where = f" {NOT_SAVED}" if shown else ""
        return f"{done}: {self.file_path} ({counts}, etag {self.etag}).{backup}{where}{diff}"


@tool(title="Write a file", category=Category.FILESYSTEM, destructive=True)
def write_project_file(context: Context, request: WriteProjectFileRequest) -> WriteProjectFile:
    r"""Replace, create or append to a file, atomically and durably, after a backup.

    Mode, schedule, plan, time and memory files are refused when the text would add errors.
    Secrets, keys and .git are protected.

    Example:
        {"file_path": "notes/today.md", "content": "# Today\n", "dry_run": true}
        {"success": true, "operation": "created", "lines_added": 1, "dry_run": true}
    """
    files = context.workspace.files
    path = files.locate(request.file_path)
    added = _encoded(request)
    current = present(context, path)
    _refuse_stale(request, path, current)
    before = current.data if current else b""
    after = before + added if request.append else added
    _refuse_new_errors(context, path, before, after)
    operation = _operation(request, current, after)
    kept = None
    if not request.dry_run and operation != "unchanged":
        kept = _stored(context, request, path, added, current)
    written = kept.written if kept else None
    difference = _difference(path, before, after, request)
    return WriteProjectFile(
        file_path=path,
        operation=operation,
        # Others may have appended, too, since the file was read.
        size=written.size if written else len(after),
        etag=written.sha256 if written else sha256(after).hexdigest(),
        previous_etag=written.previous_sha256 if written else current.sha256 if current else None,
        backup_id=written.backup_id if written else None,
        lines_added=difference.added,
        lines_removed=difference.removed,
        stored=kept.stored if kept else current.source if current else "disk",
        dry_run=request.dry_run,
        diff=difference.diff if request.dry_run else None,
    )


def _encoded(request: WriteProjectFileRequest) -> bytes:
    codec = _codec(request.encoding)
    try:
        return request.content.encode(codec)
    except UnicodeEncodeError as error:
        message = f"Character {error.start} of the content does not exist in {codec}."
        raise SidecarError(ErrorCode.INVALID, message, hint="Use utf-8.") from None


def _refuse_stale(request: WriteProjectFileRequest, path: str, current: Content | None) -> None:
    found = current.sha256 if current else None
    if request.if_match is not None and request.if_match != found:
        now = f"its etag is now {found}" if found else "it does not exist"
        message = f"`{path}` is not as expected: {now}."
        raise SidecarError(ErrorCode.CONFLICT, message, hint="Read it again, then repeat.")


def _operation(
    request: WriteProjectFileRequest, current: Content | None, after: bytes
) -> Literal["created", "replaced", "appended", "unchanged"]:
    if current is None:
        return "created"
    if current.data == after:
        return "unchanged"
    return "appended" if request.append else "replaced"


def _stored(
    context: Context,
    request: WriteProjectFileRequest,
    path: str,
    added: bytes,
    current: Content | None,
) -> Update:
    files = context.workspace.files
    reason = "write" if request.create_backup else None
    expected = current.sha256 if current else None

    def changed(now: Content | None) -> bytes:
        if request.append:
            return (now.data if now else b"") + added
        if (now.sha256 if now else None) != expected:
            message = f"`{path}` was changed by another program just now."
            raise SidecarError(ErrorCode.CONFLICT, message, hint="Read it again, then repeat.")
        return added

    if not request.ensure_directory and not files.exists(path.rpartition("/")[0]):
        message = f"The folder of `{path}` does not exist."
        raise SidecarError(ErrorCode.NOT_FOUND, message, hint="Set ensure_directory.")
    return update(context, path, changed, backup=reason)


def _errors(context: Context, kind: Kind, path: str, data: bytes) -> Counter[tuple[str, str]]:
    project = load_project(context.workspace, context.settings, context.clock())
    report = diagnose(kind, path, decoded(kind, data), project, context.settings)
    errors = (f for f in report.findings if f.severity is Severity.ERROR)
    return Counter((finding.code, finding.message) for finding in errors)


def _refuse_new_errors(context: Context, path: str, before: bytes, after: bytes) -> None:
    """Raise E_INVALID where one of the loop's own files would get errors that it has not now."""
    kind = kind_of(path)
    if kind is None:
        return
    try:
        known = _errors(context, kind, path, before) if before else Counter()
    except SidecarError:
        known = Counter()
    new = list(_errors(context, kind, path, after) - known)
    if new:
        code, sentence = new[0]
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        message = f"`{path}` was not written: {code}: {sentence}{more}"
        raise SidecarError(ErrorCode.INVALID, message, hint="Correct the text, then repeat.")


@dataclass(frozen=True)
class _Difference:
    added: int
    removed: int
    diff: str


def _difference(
    path: str, before: bytes, after: bytes, request: WriteProjectFileRequest
) -> _Difference:
    if not request.dry_run and after.startswith(before) and _codec(request.encoding) == "utf-8":
        # Nobody sees a diff, and the lines before the last one are the same.
        last = before.rfind(b"\n") + 1
        before, after = before[last:], after[last:]
    old, new = (_lines(data.decode(request.encoding, "replace")) for data in (before, after))
    added = sum((Counter(new) - Counter(old)).values())
    removed = sum((Counter(old) - Counter(new)).values())
    if not request.dry_run:
        return _Difference(added, removed, "")
    if len(old) + len(new) > _DIFF_LINES:  # difflib's time grows with the square
        return _Difference(added, removed, f"(over {_DIFF_LINES} lines: no diff)")
    lines = list(unified_diff(old, new, path, path))
    changes = Counter(line[:1] for line in lines[2:])
    shown = "".join(line if line.endswith("\n") else line + _UNENDED for line in lines)
    return _Difference(changes["+"], changes["-"], shown[:_DIFF_CHARACTERS])


def _lines(text: str) -> list[str]:
    """The lines with their ends; a file of no text has none."""
    return list(StringIO(text, newline="\n"))
