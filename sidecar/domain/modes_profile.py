"""The products that read a mode file, and how their readings differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One product's file names, tool groups and fields.

    ``files`` are its names in a workspace; for these a text that is no YAML is tried as JSON.
    """

    name: str
    title: str
    files: tuple[str, ...]
    groups: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("global", "project")
    texts: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field of a mode that the product reads."""
        return (*TEXT_FIELDS, "groups", "source", *self.texts, *self.lists)


REQUIRED_TEXTS = ("slug", "name", "roleDefinition")
OPTIONAL_TEXTS = ("whenToUse", "description", "customInstructions")
TEXT_FIELDS = (*REQUIRED_TEXTS, *OPTIONAL_TEXTS)
REQUIRED = (*REQUIRED_TEXTS, "groups")

# Roo Code 3.52.1 packages/types/src/mode.ts; Zoo and Kilo from their own copies of it.
ROO = Profile(
    "roo",
    "Roo",
    (".roomodes",),
    ("read", "edit", "command", "mcp", "modes"),
    dropped=("browser",),
)
ZOO = Profile(
    "zoo",
    "Zoo",
    (".zoomodes", ".roomodes"),
    ("read", "edit", "command", "mcp", "modes", "web"),
    dropped=("browser",),
    lists=("allowedMcpServers",),
)
KILO = Profile(
    "kilo",
    "Kilo",
    (".kilocodemodes",),
    ("read", "edit", "browser", "command", "mcp", "modes"),
    sources=("global", "project", "organization"),
    texts=("iconName", "preferredProviderId", "preferredModelId"),
)
BOB = Profile(
    "bob",
    "Bob",
    (".bobmodes", ".bob/custom_modes.yaml"),
    ("read", "edit", "browser", "command", "mcp", "modes", "skill", "subagent", "execute"),
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (ROO, ZOO, KILO, BOB)}


def profile_of(product: str) -> Profile:
    """The profile of a product by its name; Roo's where the name is unknown."""
    return PROFILES.get(product, ROO)
