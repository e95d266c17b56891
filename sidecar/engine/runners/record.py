"""What a run said and did, kept in its folder line by line: bounded, and without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sidecar.engine.runner import Event, Outcome, RunSpec
from sidecar.engine.runners import artefacts

TRANSCRIPT = "transcript.ndjson"
MAX_TRANSCRIPT_BYTES = 20_000_000
MAX_TEXT = 20_000
# Shorter values are words that stand everywhere, and masking them would garble the transcript.
MIN_SECRET = 8
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|BEARER|COOKIE", re.IGNORECASE)


@dataclass(frozen=True)
class Mask:
    """Replaces the values of variables whose names say that they are secrets."""

    secrets: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Mask:
        """The mask of an environment; also for the values as they are spelled inside JSON."""
        found = [
            (spelled, name)
            for name, value in environment.items()
            if _SECRET_NAME.search(name) and len(value) >= MIN_SECRET
            for spelled in {value, json.dumps(value)[1:-1]}
        ]
        # A secret that holds another goes first, so that no part of it stays.
        return cls(tuple(sorted(found, key=lambda pair: -len(pair[0]))))

    def text(self, text: str) -> str:
        """The text with each secret replaced by its variable's name."""
        for value, name in self.secrets:
            text = text.replace(value, f"***{name}***")
        return text

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON value; long texts are cut."""
        if isinstance(value, str):
            return cut(self.text(value))
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(each) for each in value]
        return value


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """A text with its middle left out where it is too long."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


class Record:
    """The transcript of one attempt; every event goes through it to whoever listens."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        tell: Callable[[Event], None],
        *,
        limit: int = MAX_TRANSCRIPT_BYTES,
    ) -> None:
        self.mask = Mask.of(environment)
        self.tool_calls: set[str] = set()
        self._tell = tell
        self._left = limit
        self._file = artefacts.append(folder, TRANSCRIPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def __call__(self, event: Event) -> None:
        """Write an event down, then tell it; both without secrets."""
        event = Event(event.kind, cut(self.mask.text(event.text)), self.mask.value(event.data))
        if event.kind == "tool" and event.data.get("id"):
            self.tool_calls.add(str(event.data["id"]))
        self._write(event)
        self._tell(event)

    def end(self, outcome: Outcome) -> Outcome:
        """Close the account of the attempt; returns the outcome without secrets."""
        known = outcome.tool_calls if outcome.tool_calls is not None else len(self.tool_calls)
        masked = replace(
            outcome,
            reason=self.mask.text(outcome.reason),
            text=cut(self.mask.text(outcome.text)),
            facts=self.mask.value(outcome.facts),
            tool_calls=known,
        )
        data = {"status": masked.status, "exit_code": masked.exit_code, "tool_calls": known}
        self._left = max(self._left, MAX_TEXT)  # the end is told whatever was left out before
        self(Event("end", masked.reason, data))
        return masked

    def _write(self, event: Event) -> None:
        line = _line(event)
        if len(line) > self._left:
            if self._left > 0:
                told = "The transcript has reached its limit; what follows is left out."
                self._file.write(_line(Event("warning", told)))
            self._left = 0
            return
        self._left -= len(line)
        self._file.write(line)
        self._file.flush()


def recorded(
    spec: RunSpec, tell: Callable[[Event], None], work: Callable[[Record], Outcome]
) -> Outcome:
    """What an attempt came to, on record; trouble with files and pipes is an outcome as well."""
    try:
        with Record(spec.folder, spec.environment, tell) as record:
            return record.end(work(record))
    except OSError as error:
        return Outcome("failed", f"The attempt could not go on: {error.strerror or error}.")


def _line(event: Event) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry: dict[str, Any] = {"at": now, "kind": event.kind, "text": event.text}
    if event.data:
        entry["data"] = event.data
    return json.dumps(entry, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"
