"""Says what a command to the running gateway is, and how it declines."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.access import Actor

Command = Callable[[Mapping[str, Any], Actor], Awaitable[dict[str, Any]]]
"""A command: takes (arguments, who gives it and why) and returns the answer. Raises Declined."""


class Declined(Exception):
    """The gateway does not carry out a command; the text says why."""


def needed(arguments: Mapping[str, Any], name: str) -> str:
    """Return an argument that must not be empty. Raises Declined."""
    value = str(arguments.get(name, "")).strip()
    if not value:
        raise Declined(f"a {name} is needed")
    return value


def number(arguments: Mapping[str, Any], name: str) -> int | None:
    """Return an argument that is a whole number; None if it is not given. Raises Declined."""
    text = str(arguments.get(name, "")).strip()
    if text and not (text.isascii() and text.isdigit()):
        raise Declined(f"{name} is a number")
    return int(text) if text else None
