"""Rules about what a workspace's settings files say, and the sidecar does not take."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.domain.edit import Edit
from sidecar.domain.finding import Fix, Severity
from sidecar.domain.kind import Other
from sidecar.domain.project import Project
from sidecar.domain.settings import Cause, SettingsFile
from sidecar.rules.rule import Hit, rule


def _hits(file: SettingsFile, cause: Cause) -> Iterator[Hit]:
    for each in file.untaken:
        if each.cause is cause:
            edit = Edit(each.span, each.meant)
            fixes = (Fix(f"Replace by `{each.meant}`", (edit,), safe=False),) if each.meant else ()
            yield Hit(each.span, each.message, fixes)


@rule("ST001", Severity.ERROR, Other.SETTINGS)
def settings_syntax(file: SettingsFile, _: Project) -> Iterator[Hit]:
    """The settings file is not valid TOML, so none of its settings is in force.

    The place is where reading stopped; the mistake stands there or before.

    Bad:
        timezone = "Europe/Berlin
    Good:
        timezone = "Europe/Berlin"
    """
    yield from _hits(file, Cause.SYNTAX)


@rule("ST002", Severity.WARNING, Other.SETTINGS)
def users_setting(file: SettingsFile, _: Project) -> Iterator[Hit]:
    """A workspace sets what only its user may set; the value is ignored.

    Whoever clones a workspace must not be made to run a program, or to listen at an address, that
    its files name. So commands, addresses, folders, interpreters and runners are taken from the
    user's own `config.toml`, the environment and the command line alone.

    Bad:
        timezone = "Europe/Berlin"
        interpreter = "./venv/bin/python"
    Bad:
        --- pyproject.toml
        [tool.sidecar]
        host = "0.0.0.0"
    Good:
        timezone = "Europe/Berlin"
        runner = "handoff"
    """
    yield from _hits(file, Cause.SCOPE)


@rule("ST003", Severity.WARNING, Other.SETTINGS)
def unknown_setting(file: SettingsFile, _: Project) -> Iterator[Hit]:
    """There is no setting of this name, so nothing reads it.

    Tables of other names belong to other programs and are left alone.

    Bad:
        memory_line_limits = 200
    Good:
        memory_line_limit = 200
    """
    yield from _hits(file, Cause.UNKNOWN)


@rule("ST004", Severity.WARNING, Other.SETTINGS)
def bad_setting(file: SettingsFile, _: Project) -> Iterator[Hit]:
    """A setting has a value that it cannot have; the default is in force.

    Bad:
        catch_up = "sometimes"
    Bad:
        memory_line_limit = 3
    Good:
        catch_up = "latest"
        memory_line_limit = 300
    """
    yield from _hits(file, Cause.VALUE)
