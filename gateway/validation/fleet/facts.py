"""The facts of a line that are compared: one form, whether they were just taken from a folder or come as a file from another site."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.interfaces import digest_of

FORM: Literal["ebr-gateway/line-facts/1"] = "ebr-gateway/line-facts/1"


class NoFacts(Exception):
    """A line can not be compared; the text says why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Software(_Part):
    """What runs the line. sha256: of the installed files, as `about` gives it; None: not known. libraries: digest of their versions."""

    version: str
    sha256: str | None
    verified: bool
    libraries: str | None


class Thing(_Part):
    """One object of the line folder: a tag, a step, a lot rule. fields: path of each leaf -> its text."""

    kind: str
    name: str
    criticality: str
    fields: dict[str, str]


class Configuration(_Part):
    """What the line is configured to be. version: None: no version is in force. why: what about it is not known, or not as it should be."""

    sha256: str
    environment: str
    version: int | None
    state: str | None
    approved_by: str | None
    emergency: bool
    why: str | None


class Run(_Part):
    """The newest qualification of a kind. made: when. standing: what it comes to, with dispositions. software, configuration: it was of."""

    id: str
    title: str
    made: str
    result: str | None
    standing: str | None
    signed: list[str]
    software: dict[str, Any] | None
    configuration: dict[str, Any] | None
    origin: str


class Facts(_Part):
    """Everything that is compared of one line. classes: equipment -> its class. known_since: since when qualifications are remembered."""

    form: Literal["ebr-gateway/line-facts/1"] = Field(default=FORM, alias="schema")
    gateway: str
    taken_at: str
    station: str
    software: Software
    schemas: dict[str, str]
    interfaces: dict[str, str]
    dictionary: list[dict[str, str]]
    things: list[Thing]
    classes: dict[str, str]
    configuration: Configuration
    qualification: dict[str, Run]
    known_since: str | None
    unread: list[str]


def text_of(facts: Facts) -> str:
    """Write facts as a file, with the digest over all of them."""
    content = facts.model_dump(by_alias=True)
    return json.dumps({**content, "sha256": digest_of(content)}, indent=1, ensure_ascii=False) + "\n"


def sha256_of(facts: Facts) -> str:
    """Return the digest that a file of these facts holds."""
    return digest_of(facts.model_dump(by_alias=True))


def read(file: Path) -> Facts:
    """Read a file of facts. Raises NoFacts, also where its content is not that of its digest."""
    try:
        told = json.loads(file.read_text("utf-8"))
    except OSError as error:
        why = f"{error.strerror}: name a line folder, or a file that `ebr-gateway fleet facts LINE --to FILE` wrote"
        raise NoFacts(f"{file}: {why}") from error
    except ValueError as error:
        raise NoFacts(f"{file}: is no file of `fleet facts`: {error}") from error
    if not isinstance(told, dict) or told.get("schema") != FORM:
        named = told.get("schema") if isinstance(told, dict) else None
        raise NoFacts(f"{file}: is no file of the form {FORM}{f', but of {named}: use the release that wrote it' if named else ''}")
    found = digest_of({name: value for name, value in told.items() if name != "sha256"})
    if found != told.get("sha256"):
        raise NoFacts(f"{file}: was changed: its content has the SHA-256 {found}, and it says {told.get('sha256')}; have it sent again")
    try:
        return Facts.model_validate({name: value for name, value in told.items() if name != "sha256"})
    except ValidationError as error:
        first = error.errors()[0]
        raise NoFacts(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
