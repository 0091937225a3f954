"""Which number and which approval the configuration of this run has, where its versions are controlled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Registered:
    """What is known of the configuration beside its content.

    version: its number, None if it was given none. given: the highest number that any version has. stated: members of the `config` event
    that begins it: state, author, approver, signatures.
    """

    version: int | None = None
    given: int = 0
    stated: Mapping[str, Any] = field(default_factory=dict)

    def number(self, known: int, *, is_same: bool) -> int:
        """Return the number under which entries are made. known: of the configuration before it. is_same: it has the same content."""
        if self.version is not None and self.version >= known:
            return self.version
        return known if is_same else max(known, self.given) + 1

    def shown(self, version: int, sha256: str) -> dict[str, Any]:
        """Describe the configuration of this run, for people. version, sha256: under which entries are made."""
        names = ("state", "approved_by", "change_no", "emergency")
        return {"version": version, "sha256": sha256, **{name: self.stated.get(name) for name in names}}
