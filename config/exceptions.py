"""What production refuses unless QA has accepted it: a row of dispositions.csv in an approved version (URS-SEC-03, URS-CFG-07).

Each has a name that does not change with its place: `security:SOURCE` (an OPC UA server without SignAndEncrypt), `simulated:SOURCE` (a
source on this machine, or at no device's address), `page:unencrypted` (the page, seen from other machines, in the clear),
`certificate-FAULT:SOURCE:DIGITS` (one fault of one certificate of an OPC UA server, by the first 16 digits of its SHA-256).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

from config.grammars.listen import host_of, is_loopback
from config.line import Disposition, Line
from config.sections import Source, Web


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that production refuses. key: of the source's table in line.toml, or of [web]. text: what it is."""

    name: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A deviation that somebody has accepted. source: whose, None for the page."""

    deviation: Deviation
    disposition: Disposition
    source: str | None = None

    @property
    def text(self) -> str:
        """Who accepted what, when and why, for inventory and record."""
        row = self.disposition
        return f"{self.deviation.name}: {self.deviation.text}; accepted by {row.accepted_by} on {row.accepted_on}: {row.reason}"


def accepted(line: Line) -> tuple[Accepted, ...]:
    """List what a production line does all the same, by its dispositions. Elsewhere nothing has to be accepted."""
    if line.line.environment != "production":
        return ()
    rows = {row.gap: row for row in line.dispositions if row.disposition == "accepted"}
    of_sources = [(source.name, deviation) for source in line.sources for deviation in of_source(source)]
    found = [*of_sources, *((None, deviation) for deviation in of_page(line.web))]
    return tuple(Accepted(deviation, rows[deviation.name], source) for source, deviation in found if deviation.name in rows)


def names(sources: Iterable[Source], web: Web | None) -> set[str]:
    """Name every deviation of a line, accepted or not."""
    return {deviation.name for source in sources for deviation in of_source(source)} | {deviation.name for deviation in of_page(web)}


def of_source(source: Source) -> Iterator[Deviation]:
    """Yield what production refuses of a source; each name once."""
    if any(_is_simulated(url) for url in map(_split, source.endpoints) if url is not None):
        yield Deviation(f"simulated:{source.name}", "endpoint", f"source `{source.name}` on this machine (a simulator?)")
    if source.driver == "opcua":
        security = source.options.get("security", {})  # the driver's default is Basic256Sha256 with SignAndEncrypt
        policy, mode = (security.get("policy"), security.get("mode", "SignAndEncrypt")) if isinstance(security, dict) else ("None", None)
        if policy == "None":
            yield Deviation(f"security:{source.name}", "security", f"source `{source.name}` without a security policy")
        elif mode != "SignAndEncrypt":
            yield Deviation(f"security:{source.name}", "security", f"source `{source.name}` with mode {mode}")
        yield from _certificates(source)


def of_page(web: Web | None) -> Iterator[Deviation]:
    """Yield what production refuses of the page."""
    if web is not None and web.tls is None and not is_loopback(host_of(web.listen)):
        yield Deviation("page:unencrypted", "listen", f"the page at {web.listen}, seen from other machines without encryption")


_FAULTS = {"dates": "outside of its dates", "uri": "of another application than it says", "key": "with a short key"}


def _certificates(source: Source) -> Iterator[Deviation]:
    """Yield the faults of certificates that a source lets pass. What is no such row is refused by the driver's own check."""
    rows = source.options.get("accepted_certificates", [])
    for row in rows if isinstance(rows, list) else []:
        sha256, faults = (row.get("sha256"), row.get("faults")) if isinstance(row, dict) else (None, None)
        if isinstance(sha256, str) and isinstance(faults, list):
            for fault, text in _FAULTS.items():
                if fault in faults:
                    name = f"certificate-{fault}:{source.name}:{sha256[:16]}"
                    yield Deviation(name, "accepted_certificates", f"source `{source.name}` with a certificate {text} ({sha256[:16]})")


def _split(endpoint: str) -> SplitResult | None:
    try:
        return urlsplit(endpoint)
    except ValueError:
        return None


def _is_simulated(url: SplitResult) -> bool:
    if url.scheme in ("serial", "rtu"):
        return bool(url.hostname) or (PurePosixPath(url.path).parts[:3] != ("/", "dev", "serial") and not url.path.startswith("/dev/tty"))
    if url.scheme.startswith("sqlite"):
        return not url.path.startswith("//")  # sqlite:////absolute/file
    return is_loopback(url.hostname or "") and url.scheme != "file"
