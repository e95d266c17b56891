"""Which folder is meant, without the libraries that a client of a channel would wait for."""

from __future__ import annotations

import os

from sidecar.domain.errors import ErrorCode, SidecarError
from sidecar.workspace.root import nearest_root


def folder_of(given: str | None) -> str:
    """The workspace's real path, ``given`` or not; raises SidecarError E_NOT_FOUND."""
    root = nearest_root(os.getcwd(), os.environ) if given is None else given  # noqa: PTH109
    if not os.path.isdir(root):  # noqa: PTH112
        raise SidecarError(
            ErrorCode.NOT_FOUND, f"There is no folder `{root}`.", hint="Name one by --workspace."
        )
    return os.path.realpath(root)
