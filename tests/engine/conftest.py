"""What the engine's tests share: a private PostgreSQL, and a database of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.postgres import Cluster, UnavailableError


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A private server for the session; skips with the reason where there can be none."""
    try:
        cluster = Cluster.start(fsync=False)
    except UnavailableError as error:
        pytest.skip(str(error))
    yield cluster
    cluster.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def engine_url(request: pytest.FixtureRequest) -> str:
    """The setting for each kind of database, with nothing in it."""
    if request.param == "sqlite":
        return ""
    cluster: Cluster = request.getfixturevalue("postgres")
    cluster.sql("DROP SCHEMA IF EXISTS sidecar CASCADE")
    return cluster.url
