"""What all tests share: the corpus, copies of workspaces, a fixed clock, Hypothesis profiles."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sidecar.channel import seat
from sidecar.channel.place import Place
from sidecar.services.context import Context
from sidecar.settings import Settings
from sidecar.workspace.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLE = REPOSITORY / "examples" / "workspace"

SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick", max_examples=60, deadline=None, suppress_health_check=SLOW_MACHINE
)
settings.register_profile(
    "thorough", max_examples=5000, deadline=None, suppress_health_check=SLOW_MACHINE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real files with the real programs' verdicts."""
    folder = Path(os.environ.get("SIDECAR_CORPUS") or REPOSITORY.parent / "shared" / "corpus")
    if not folder.is_dir():
        pytest.skip("no corpus: set SIDECAR_CORPUS to its folder")
    return folder


@pytest.fixture(autouse=True)
def user_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A user's own directory for each test, so that none touches the real one.

    No sidecar that a test's channels have started outlives the test.
    """
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("SIDECAR_HOME", str(folder))
    # Hypothesis and our other plugins cost every pytest that a test starts two seconds.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    yield folder
    for place in (folder / "run").glob("*"):
        link = seat.ask(Place("", str(place)), {"face": "stop"})
        if link is not None:
            sum(1 for _ in link.frames())
            link.close()


@pytest.fixture
def real_workspace(corpus: Path, tmp_path: Path) -> Path:
    """A writable copy of the real workspace."""
    return _copy(corpus / "loop-orchestrator", tmp_path / "workspace")


@pytest.fixture
def example_workspace(tmp_path: Path) -> Path:
    """A writable copy of the sample workspace."""
    return _copy(EXAMPLE, tmp_path / "workspace")


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


@pytest.fixture
def clock() -> datetime:
    """The instant at which all executed examples of the documentation happen."""
    return datetime(2025, 5, 1, 10, 23, 45, 678000, tzinfo=UTC)


@pytest.fixture
def context(example_workspace: Path, clock: datetime) -> Context:
    """A caller's view of a copy of the sample workspace, at a fixed instant."""
    return Context(
        Workspace.open(example_workspace), Settings(timezone="UTC", check_seconds=10), lambda: clock
    )
