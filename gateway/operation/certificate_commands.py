"""Defines the commands that write down what is done to certificates. The files are changed by who asks: the service may not write there."""

from collections.abc import Mapping
from typing import Any

from gateway.access import Actor
from gateway.access.gate import Record
from gateway.operation.command import Command, needed


def certificate_commands(record: Record) -> dict[str, Command]:
    """Return the commands by name. record: appends an audit event; the file is changed after that alone."""

    async def trust(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        sha256, what = needed(arguments, "sha256"), _of(arguments, "subject", "uri", "file")
        await record("certificate-trusted", what, by, target=f"certificate {sha256}", old="not trusted", new="trusted")
        return {"sha256": sha256}

    async def make(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        folder = needed(arguments, "folder")
        await record("certificate-made", {"folder": folder}, by, target="own certificate", old=None, new="made")
        return {"folder": folder}

    return {"certs-trust": trust, "certs-make": make}


def _of(arguments: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(arguments[name])[:500] for name in names if arguments.get(name)}
