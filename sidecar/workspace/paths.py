"""Which paths may be named at all: relative POSIX paths, and the files nobody may touch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import trouble

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
# Bounds of what a stranger's ignore file may cost; nobody's own comes near them.
_PATTERNS, _GROUP, _PATTERN_CHARACTERS, _PATTERN_WILDCARDS = 2000, 250, 250, 12
_CHARACTERS = 32_000

_DRIVE = re.compile(r"[A-Za-z]:")
# What HFS+ and NTFS drop from a name: without this, ".g\u200cit" or ".git." would be `.git`.
_IGNORABLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_KEYS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.keystore", "*.jks", "*.kdbx")
_SECRETS = (".env*", ".netrc", "_netrc", ".pgpass", ".git-credentials", ".htpasswd")
_SSH = ("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
SECRET_NAMES = (*_SECRETS, *_KEYS, *_SSH)
SECRET_FOLDERS = frozenset({".git", "git~1", ".ssh", ".gnupg", ".aws"})


@lru_cache(maxsize=2_000)
def parts(path: str) -> tuple[str, ...]:
    """The components of a workspace-relative POSIX path; the root is ``()``.

    Raises E_PATH_OUTSIDE for absolute and climbing paths, E_INVALID for what no file can be named.
    """
    if "\0" in path:
        raise SidecarError(ErrorCode.INVALID, "A path cannot contain a NUL character.")
    if path.startswith(("/", "~/", "\\")) or path == "~" or _DRIVE.match(path):
        raise trouble.outside(path)
    found = tuple(part for part in path.split("/") if part not in {"", "."})
    if any(part.replace("\\", "/").startswith("../") or part == ".." for part in found):
        raise trouble.outside(path)
    if any("\\" in part for part in found):
        message = f"`{path}` contains a backslash."
        raise SidecarError(ErrorCode.INVALID, message, hint="Separate folders with `/`.")
    _check_length(path, found)
    return found


def _check_length(path: str, found: tuple[str, ...]) -> None:
    try:
        longest = max((len(part.encode()) for part in found), default=0)
    except UnicodeEncodeError:
        message = "The path is not valid Unicode text."
        raise SidecarError(ErrorCode.INVALID, message) from None
    if longest > MAX_NAME_BYTES or len(path.encode()) > MAX_PATH_BYTES:
        message = f"The path is too long: {MAX_NAME_BYTES} bytes a name, {MAX_PATH_BYTES} in all."
        raise SidecarError(ErrorCode.INVALID, message)


def clean(path: str) -> str:
    """The path in its one spelling: no empty parts, no ``.``; the root is ``""``."""
    return "/".join(parts(path))


@lru_cache(maxsize=10_000)
def _plain(name: str) -> str:
    name = unicodedata.normalize("NFKC", _IGNORABLE.sub("", name)).casefold()
    return name.partition(":")[0].rstrip(" .") or name


_SECRET = re.compile("|".join(map(translate, SECRET_NAMES)))


@lru_cache(maxsize=10_000)
def _secret(name: str) -> bool:
    plain = _plain(name)
    return plain in SECRET_FOLDERS or _SECRET.match(plain) is not None


def sayable(path: str) -> str:
    """The path with what is not UTF-8 in its names replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Globs:
    """gitignore-style patterns, matched in linear time whoever wrote them.

    Raises E_INVALID for a pattern that cannot be used; ``lenient`` passes over it, as git does.
    """

    def __init__(self, patterns: Sequence[str], *, lenient: bool = False) -> None:
        usable = [p for p in patterns if p and not p.startswith("#")][:_PATTERNS]
        sizes = accumulate(map(len, usable))
        usable = [p for p, size in zip(usable, sizes, strict=True) if size <= _CHARACTERS]
        groups = (usable[at : at + _GROUP] for at in range(0, len(usable), _GROUP))
        self._specs = [spec for group in groups for spec in _compiled(group, lenient=lenient)]
        self._specs.reverse()

    def verdict(self, path: str) -> bool | None:
        """What the last pattern that speaks of a path says; a folder's path ends with ``/``."""
        named = sayable(path)
        verdicts = (spec.check_file(named).include for spec in self._specs)
        return next((verdict for verdict in verdicts if verdict is not None), None)

    def match(self, path: str) -> bool:
        """Whether the patterns take a path in."""
        return bool(self.verdict(path))


def _modest(pattern: str) -> bool:
    wildcards = sum(map(pattern.count, "*?["))
    return len(pattern) <= _PATTERN_CHARACTERS and wildcards <= _PATTERN_WILDCARDS


def _compiled(patterns: list[str], *, lenient: bool) -> list[GitIgnoreSpec]:
    """The patterns in as few specs as can be compiled, in their order."""
    import re2  # noqa: PLC0415 - three megabytes with what compiles the patterns
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    if all(map(_modest, patterns)):
        with suppress(ValueError, re.error, re2.error):
            return [GitIgnoreSpec.from_lines(patterns, backend="re2")]
    if len(patterns) > 1:
        half = len(patterns) // 2
        halves = (patterns[:half], patterns[half:])
        return [spec for part in halves for spec in _compiled(part, lenient=lenient)]
    if lenient:
        return []
    message = f"`{patterns[0][:80]}` is not a glob pattern."
    raise SidecarError(ErrorCode.INVALID, message, hint="Use *, **, ? and [a-z] as in .gitignore.")


@dataclass(frozen=True)
class Policy:
    """The deny list: secrets, keys, git's own files, our state, and the settings' patterns."""

    state_dir: str = ".sidecar"
    protected: Sequence[str] = field(default=())

    @cached_property
    def _patterns(self) -> Globs:
        return Globs(self.protected, lenient=True)

    @cached_property
    def _state(self) -> tuple[str, ...]:
        return tuple(_plain(part) for part in parts(self.state_dir))

    def _is_state(self, names: Sequence[str]) -> bool:
        state = self._state
        return tuple(map(_plain, names[: len(state)])) == state

    def denies(self, path: str, *, directory: bool = False) -> bool:
        """Whether no tool may read, list or change this path, in any spelling of its case."""
        if not path:
            return False
        names = path.split("/")
        if any(map(_secret, names)) or self._is_state(names):
            return True
        shown = f"{path}/" if directory else path
        return self._patterns.match(shown)

    def check(self, path: str) -> None:
        """Raise E_PROTECTED for a path on the deny list."""
        if self.denies(path):
            message = f"`{path}` is protected: it may hold secrets, or belongs to git or to us."
            raise SidecarError(
                ErrorCode.PROTECTED, message, hint="A person can change it in an editor."
            )
