"""The files of a specification, and writing them into a folder."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import gateway
from config import Line
from gateway.validation.specification import asyncapi, openapi
from gateway.validation.specification.document import specification
from gateway.validation.specification.schemas import messages, text_of

SUMS = "SHA256SUMS"
RULES = {"rules-uplink.md": "uplink.md", "rules-context.md": "context.md"}
"""File -> the page of the documentation that it is: what binds both sides beyond each message; how steps and their values come about."""


def rules(page: str) -> str:
    """Return a page of the documentation: a wheel carries it, a source tree has it."""
    packed = Path(__file__).with_name(page)
    return (packed if packed.exists() else Path(gateway.__file__).parent.parent / "docs" / page).read_text("utf-8")


def files(line: Line, made: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the text of each file by its name. made: the document, where it is there already."""
    texts = {"interfaces.json": text_of(made or specification(line))}
    for uplink in line.uplinks:
        described = asyncapi.uplink if uplink.kind == "mqtt" else openapi.uplink
        texts[f"{described.__module__.rpartition('.')[2]}-uplink-{uplink.name}.json"] = text_of(described(line, uplink))
    if line.push is not None:
        texts["openapi-push.json"] = text_of(openapi.push(line, line.push))
    if line.web is not None:
        texts["openapi-page.json"] = text_of(openapi.page(line, line.web))
    if line.uplinks:
        texts |= {name: rules(page) for name, page in RULES.items()}
    texts |= {f"schemas/{name}.json": text_of(schema) for name, schema in messages().items()}
    sums = "".join(f"{sha256(text.encode()).hexdigest()}  {name}\n" for name, text in sorted(texts.items()))
    return {**texts, SUMS: sums}


def written(texts: dict[str, str], to: Path) -> None:
    """Write files into a folder that is made for it. Raises OSError, FileExistsError where it holds something already."""
    to.mkdir(parents=True, exist_ok=True)
    if any(to.iterdir()):
        raise FileExistsError("is not empty")
    for name, text in texts.items():
        (to / name).parent.mkdir(exist_ok=True)
        (to / name).write_text(text, "utf-8")
