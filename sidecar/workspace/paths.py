"""Which paths may be named at all: relative POSIX paths, and the files nobody may touch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property, lru_cache

from pathspec import GitIgnoreSpec

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace import trouble

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096

_DRIVE = re.compile(r"[A-Za-z]:")
# What HFS+ and NTFS drop from a name: without this, ".g\u200cit" or ".git." would be `.git`.
_IGNORABLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_KEYS = ("*.pem", "*.key", "*.p12", "*.pfx", "*.ppk", "*.keystore", "*.jks", "*.kdbx")
_SECRETS = (".env*", ".netrc", "_netrc", ".pgpass", ".git-credentials", ".htpasswd")
_SSH = ("id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
SECRET_NAMES = (*_SECRETS, *_KEYS, *_SSH)
SECRET_FOLDERS = frozenset({".git", "git~1", ".ssh", ".gnupg", ".aws"})


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
    """gitignore-style patterns, matched in linear time whoever wrote them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._spec = GitIgnoreSpec.from_lines(patterns, backend="re2") if patterns else None

    def verdict(self, path: str) -> bool | None:
        """What the last pattern that speaks of a path says; a folder's path ends with ``/``."""
        return None if self._spec is None else self._spec.check_file(sayable(path)).include

    def match(self, path: str) -> bool:
        """Whether the patterns take a path in."""
        return bool(self.verdict(path))


@dataclass(frozen=True)
class Policy:
    """The deny list: secrets, keys, git's own files, our state, and the settings' patterns."""

    state_dir: str = ".sidecar"
    protected: Sequence[str] = field(default=())

    @cached_property
    def _patterns(self) -> Globs:
        return Globs(self.protected)

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
