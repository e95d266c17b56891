"""What earlier runs found, one JSON line a run, kept in a state folder.

The file is data from the workspace: a line that is not ours is passed over, never an error.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from validation.replacing import replace

SCHEMA = 1
RUNS = 200
BYTES = 8_000_000
BAD_KEPT = 500
DIGEST_BYTES = 6


@dataclass(frozen=True)
class Record:
    """One run, small enough to keep.

    ``counts`` are passed, failed, errors, skipped; ``coverage`` is numerator and denominator;
    ``benchmarks`` are medians in seconds. ``code`` names the state of the project's files.
    ``passed`` holds digests only: all that is ever asked is whether a known test is among them.
    """

    id: str
    started: str
    seconds: float
    verdict: str
    code: str
    counts: tuple[int, int, int, int]
    categories: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    coverage: tuple[int, int] | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict)
    slowest: Mapping[str, float] = field(default_factory=dict)
    bad: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    passed: frozenset[bytes] = frozenset()

    @property
    def rate(self) -> float | None:
        """Passed over passed, failed and errors."""
        decided = sum(self.counts[:3])
        return self.counts[0] / decided if decided else None

    def has_passed(self, check: str) -> bool:
        """Whether a check passed in that run."""
        return digest(check) in self.passed


def digest(check: str) -> bytes:
    """A check's id in six bytes: among 10,000 ids two are equal once in 5 million files."""
    return blake2b(check.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class History:
    """The records in a file that several runs may append to at once."""

    path: Path

    def read(self) -> list[Record]:
        """All readable records, the oldest first; none where there is no file."""
        try:
            descriptor = _open(self.path, os.O_RDONLY)
        except OSError:
            return []
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(2 * BYTES)
        return list(_records(data.splitlines()))

    def append(self, record: Record) -> None:
        """Add a record in one write; over 200 records or 8 MB the oldest go; raises OSError."""
        line = json.dumps(_as_data(record), separators=(",", ":")).encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.path.with_name(self.path.name + ".lock")):
            descriptor = _open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            with os.fdopen(descriptor, "rb+", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size and _last_byte(file.fileno(), size) != b"\n":
                    line = b"\n" + line  # somebody died while writing
                os.write(file.fileno(), line)
                file.seek(0)
                lines = file.read().splitlines(keepends=True)
            kept = _newest(lines)
            if len(kept) < len(lines):
                replace(self.path, b"".join(kept))


def _last_byte(descriptor: int, size: int) -> bytes:
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1)


def _newest(lines: list[bytes]) -> list[bytes]:
    """As many of the last lines as both limits allow; half of them when one is passed.

    Halving makes the rewriting rare.
    """
    if len(lines) <= RUNS and sum(map(len, lines)) <= BYTES:
        return lines
    size = 0
    kept: list[bytes] = []
    for line in reversed(lines[-RUNS // 2 :]):
        size += len(line)
        if kept and size > BYTES // 2:
            break
        kept.append(line)
    return kept[::-1]


def _open(path: Path, flags: int) -> int:
    """Open a regular file with one name and no link on the way to it; raises OSError."""
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | safe, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise OSError(f"{path.name} is no file of its own")
    return descriptor


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among processes; the lock file stays, for an unlinked one would lock nobody out."""
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - Windows only

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - not on Windows

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _as_data(record: Record) -> dict[str, Any]:
    data = asdict(record)
    passed = base64.b64encode(b"".join(sorted(record.passed))).decode()
    return {"schema": SCHEMA, **data, "bad": record.bad[:BAD_KEPT], "passed": passed}


def _records(lines: Iterable[bytes]) -> Iterator[Record]:
    for line in lines:
        # What a crash, another version or somebody else's hand left there is no record of ours.
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            data = json.loads(line)
            if data.pop("schema") == SCHEMA:
                yield _record(data)


def _record(data: dict[str, Any]) -> Record:
    packed = base64.b64decode(data["passed"], validate=True)
    return Record(
        id=str(data["id"]),
        started=str(data["started"]),
        seconds=float(data["seconds"]),
        verdict=str(data["verdict"]),
        code=str(data["code"]),
        counts=_four(data["counts"]),
        categories={str(k): _four(v) for k, v in data["categories"].items()},
        coverage=_pair(data["coverage"]) if data["coverage"] else None,
        benchmarks={str(k): float(v) for k, v in data["benchmarks"].items()},
        slowest={str(k): float(v) for k, v in data["slowest"].items()},
        bad=tuple(map(str, data["bad"])),
        retried=tuple(map(str, data["retried"])),
        passed=frozenset(
            packed[at : at + DIGEST_BYTES] for at in range(0, len(packed), DIGEST_BYTES)
        ),
    )


def _four(values: Any) -> tuple[int, int, int, int]:
    passed, failed, errors, skipped = map(int, values)
    return passed, failed, errors, skipped


def _pair(values: Any) -> tuple[int, int]:
    numerator, denominator = map(int, values)
    return numerator, denominator
