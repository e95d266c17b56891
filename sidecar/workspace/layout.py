"""Which file is which, and which folder is the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sidecar.domain.kind import Checked, Kind, Other
from sidecar.workspace.root import nearest_root

_BY_NAME = {
    ".roomodes": Kind.MODES,
    ".zoomodes": Kind.MODES,
    ".kilocodemodes": Kind.MODES,
    ".bobmodes": Kind.MODES,
    "custom_modes.yaml": Kind.MODES,
    "TODO.md": Kind.TODO,
    "task_timing.tsv": Kind.TIMING,
    "persistent-memory.md": Kind.MEMORY,
}
# The weaker one first.
SETTINGS_FILES = ("pyproject.toml", "sidecar.toml")
_SCHEDULE_FOLDERS = {".roo", ".zoo"}
_MODE_FILES = {
    "roo": (".roomodes",),
    "zoo": (".zoomodes", ".roomodes"),
    "kilo": (".kilocodemodes",),
    "bob": (".bobmodes", ".bob/custom_modes.yaml"),
}


def kind_of(path: str) -> Kind | None:
    """What a file is for, by its name wherever it lies; None for a stranger."""
    folder, _, name = path.replace("\\", "/").rpartition("/")
    if name == "schedules.json" and folder.rpartition("/")[2] in _SCHEDULE_FOLDERS:
        return Kind.SCHEDULES
    return _BY_NAME.get(name)


def checked_as(path: str) -> Checked | None:
    """What a file is checked as, settings files at the workspace's root among them."""
    return Other.SETTINGS if path in SETTINGS_FILES else kind_of(path)


def candidates(kind: Kind, product: str = "roo") -> tuple[str, ...]:
    """Where a product looks for its file of a kind, the default first."""
    match kind:
        case Kind.MODES:
            return _MODE_FILES.get(product, _MODE_FILES["roo"])
        case Kind.SCHEDULES:
            own = (".zoo/schedules.json",) if product == "zoo" else ()
            return (*own, ".roo/schedules.json")
        case Kind.TODO:
            return ("TODO.md",)
        case Kind.TIMING:
            return ("task_timing.tsv",)
        case Kind.MEMORY:
            return ("persistent-memory.md",)


def checked_files(product: str) -> list[str]:
    """Every file that is checked in a workspace, wherever the product may look for one."""
    return [*(path for kind in Kind for path in candidates(kind, product)), *SETTINGS_FILES]


def find_root(start: Path, environ: Mapping[str, str]) -> Path:
    """The workspace: SIDECAR_WORKSPACE, else the nearest folder with a mark, else the start."""
    return Path(nearest_root(str(start), environ))
