"""One run of a qualification: of which test plan it is, who makes it, who witnesses it; and what every run's document ends with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text


class Run(NamedTuple):
    """Of which plan, and who. plan: its id with the plant. tester, witness: users. None: nobody was named."""

    plan: str | None = None
    tester: str | None = None
    witness: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return what the document says of it for programs."""
        return self._asdict()

    def blocks(self) -> Iterator[Block]:
        """Yield what it says for people."""
        tester = self.tester or "nobody was named: who signs it as executed"
        witness = f"{self.witness}, who signs it as witnessed" if self.witness else "nobody was named"
        yield NamedValues([("Test plan", self.plan or "none was named"), ("Tester", tester), ("Witness", witness)])


def evidence_blocks(sums: Mapping[str, str]) -> Iterator[Block]:
    """Yield the list of the files that the verdicts rest on."""
    yield Heading(1, "Evidence")
    yield Table(("File", "SHA-256"), (4, 9), [[name, digest] for name, digest in sums.items()])


def sign_off(labels: Sequence[str] = ("Executed", "Witnessed", "Approved or rejected")) -> Iterator[Block]:
    """Yield what persons fill in on paper, where they do not sign electronically."""
    yield Heading(1, "On paper")
    yield Text("Electronic signatures stand below. Whoever signs a printed copy instead fills in here.")
    titles = ("Meaning", "Name, printed", "Role", "Date and time, with UTC offset", "Signature")
    yield Form(titles, (1.6, 2.6, 2, 2.6, 3), labels)
