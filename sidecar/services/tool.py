"""What a tool is: one typed function with its request and result models."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sidecar.services.context import Context
from sidecar.services.unsaved import UnchangedEditors
from sidecar.workspace.rehearsal import rehearsed


class Category(StrEnum):
    """The specification's three families of tools."""

    ORCHESTRATOR = "orchestrator"
    FILESYSTEM = "filesystem"
    DEVELOPMENT = "development"


class Request(BaseModel):
    """A tool's arguments; an unknown one is refused, never dropped."""

    model_config = ConfigDict(extra="forbid")


class ChangeRequest(Request):
    """The arguments of a tool that changes something."""

    dry_run: Annotated[bool, Field(description="Check and tell only.")] = False


def present() -> str:
    """This moment as results carry it: UTC, milliseconds, Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Result(BaseModel):
    """A tool's answer: the model is the structured form, ``summary`` the text form."""

    success: bool = True
    timestamp: str = Field(default_factory=present)

    def structured(self) -> dict[str, Any]:
        """The answer as JSON values; a field without a value is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def summary(self) -> str:
        """The whole answer as short plain text, for clients whose model reads only text."""
        raise NotImplementedError


class ChangeResult(Result):
    """What a tool changed, or on a dry run would change."""

    dry_run: bool = False

    @property
    def mood(self) -> str:
        """How the text of a dry run begins; empty where the change was made."""
        return "Dry run, nothing is kept: " if self.dry_run else ""


Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Tool(Generic[Q, R]):
    """A service function that agents may call by its name."""

    function: Callable[[Context, Q], R]
    title: str
    category: Category
    request: type[Q]
    result: type[R]
    read_only: bool
    destructive: bool
    idempotent: bool

    @property
    def name(self) -> str:
        """The tool's name, which is the function's."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """What agents read: the docstring up to its ``Example:`` block, on one line."""
        page = inspect.cleandoc(self.function.__doc__ or "")
        return " ".join(page.partition("\nExample:")[0].split())

    @property
    def page(self) -> str:
        """The tool's documentation: its whole docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    def __call__(self, context: Context, request: Q) -> R:
        """Run the function; a dry run on a workspace that keeps nothing."""
        if not (isinstance(request, ChangeRequest) and request.dry_run):
            return self.function(context, request)
        result = self.function(rehearsal(context), request)
        return result.model_copy(update={"dry_run": True})

    def call(self, context: Context, arguments: dict[str, Any]) -> R:
        """Validate the arguments, then run the function; raises ValidationError, SidecarError."""
        return self(context, self.request.model_validate(arguments))


def rehearsal(context: Context) -> Context:
    """The same view where nothing is kept and no editor is changed."""
    editors = UnchangedEditors(context.editors) if context.editors else None
    return replace(context, workspace=rehearsed(context.workspace), editors=editors)


def tool(
    *,
    title: str,
    category: Category,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
) -> Callable[[Callable[[Context, Q], R]], Tool[Q, R]]:
    """Declare a service function as a tool; its models come from its annotations."""

    def declare(function: Callable[[Context, Q], R]) -> Tool[Q, R]:
        hints = typing.get_type_hints(function)
        return Tool(
            function=function,
            title=title,
            category=category,
            request=hints["request"],
            result=hints["return"],
            read_only=read_only,
            destructive=destructive,
            idempotent=idempotent or read_only,
        )

    return declare
