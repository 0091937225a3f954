"""The protocols that the driver speaks, as data: requests, readers of lines, fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from drivers.serial import lines, mtsics, sbi
from drivers.serial.answer import Answer
from drivers.serial.settings import SerialSettings

TYPES = ("decimal", "float64", "float32", "string")


@dataclass(frozen=True)
class Dialect:
    """One protocol with its settings.

    request: bytes that ask for a value; None if the instrument sends by itself. begin: bytes that start its sending, sent once.
    identify: True if it understands MT-SICS I4, by which the driver gets in step after a fault. Others must fall silent for a time-out.
    kind: "poll" where lines are samples, "change" where each line is an event of its own (a printed ticket).
    """

    fields: Mapping[str, tuple[str, ...]]
    read: Callable[[bytes], Answer]
    request: bytes | None
    begin: bytes | None = None
    terminator: bytes = b"\r\n"
    identify: bool = False
    kind: Literal["poll", "change"] = "poll"
    may_be_silent: bool = False


def dialect_of(settings: SerialSettings) -> Dialect:
    """Make the dialect that the settings name. Raises lines.UnsafePattern."""
    if settings.protocol == "mt-sics":
        command = settings.command.encode("ascii") + b"\r\n"
        streams = settings.command == "SIR"
        return Dialect(mtsics.FIELDS, mtsics.weight_of, None if streams else command, command if streams else None, identify=True)
    if settings.protocol == "sbi":
        return Dialect(sbi.FIELDS, sbi.weight_of, sbi.REQUEST)
    pattern = settings.pattern or ""
    fields = {name: ("bool",) if name == "stable" else TYPES for name in lines.fields_of(pattern)}
    return Dialect(
        fields,
        lines.reader(pattern),
        None if settings.request is None else settings.request.encode("ascii"),
        terminator=settings.terminator.encode("ascii"),
        kind="change" if settings.request is None else "poll",
        may_be_silent=settings.request is None,
    )
