"""Shows the demo while it runs."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

PLAIN_EVERY_S = 5.0


@dataclass
class Progress:
    """The newest facts: the gateway's own snapshot (None while it does not answer) and the state of the EBR's store."""

    snapshot: Mapping[str, Any] | None = None
    entries: int = 0
    receipts: int = 0
    faults: list[str] = field(default_factory=list)


class View(AbstractContextManager["View"]):
    """Shows a live table on a terminal; elsewhere prints a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._plain_at = 0.0
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self.progress = Progress()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Print a line that stays."""
        self._console.print(Text(f"{time.monotonic() - self._began:6.1f} s  {text}", style=style))

    def fault(self, text: str) -> None:
        """Print which fault the demo causes on purpose."""
        self.say(text, "bold red")

    def refresh(self) -> None:
        """Show the newest facts."""
        if self._live:
            self._live.update(rendered(self.progress))
        elif time.monotonic() - self._plain_at >= PLAIN_EVERY_S:
            self._plain_at = time.monotonic()
            self.say(plain(self.progress))


def plain(progress: Progress) -> str:
    """Write the progress in one line."""
    now = progress.snapshot
    if now is None:
        return f"gateway: not answering; EBR holds {progress.entries} entries"
    rate = sum(source["readings_per_s"] for source in now["sources"])
    steps = ", ".join(_where(name, context) for name, context in now["equipment"].items())
    uplink = now["uplinks"][0]
    behind = f"{uplink['state']}, {uplink['entries']} entries behind"
    held = f"journal {now['journal']['seq']}; uplink {behind}; EBR {progress.entries}"
    return f"{steps}; {rate:.0f} readings/s; {held}; clock {now['clock']['status']}"


def rendered(progress: Progress) -> Group:
    """Render the progress as the live picture."""
    now = progress.snapshot
    table = Table(show_header=False, box=None, padding=(0, 1))
    table.add_column(style="bold", width=12)
    table.add_column()
    if now is None:
        table.add_row("gateway", Text("not running", style="red"))
    else:
        for name, context in now["equipment"].items():
            table.add_row(name, _where("", context))
        for source in now["sources"]:
            table.add_row(source["name"], _source(source))
        table.add_row("journal", f"entry {now['journal']['seq']}, {now['journal']['bytes'] / 1e6:.1f} MB")
        for uplink in now["uplinks"]:
            table.add_row(f"uplink {uplink['name']}", _uplink(uplink))
        table.add_row("clock", _clock(now["clock"]))
    table.add_row("EBR", f"{progress.entries} entries")
    return Group(table)


def _where(name: str, context: Mapping[str, Any]) -> str:
    steps = " > ".join(f"{step[1]}" + (f"/{step[2]}" if step[2] > 1 else "") for step in context.get("steps") or [])
    return " ".join(str(part) for part in (name, context.get("batch") or "no batch", steps or "-", context.get("state") or "") if part)


def _source(source: Mapping[str, Any]) -> Text:
    text = Text(f"{source['state']:<10}", style="green" if source["state"] == "connected" else "red")
    return text.append(
        f" {source['readings_per_s']:7.1f} readings/s  {source['tags']:4d} tags  {source['open_gaps']} open gaps", style="default"
    )


def _uplink(uplink: Mapping[str, Any]) -> Text:
    good = uplink["state"] == "forwarding"
    text = Text(f"{uplink['state']:<10}", style="green" if good else "red")
    oldest = f", the oldest {uplink['oldest_s']:.1f} s old" if uplink.get("oldest_s") is not None else ""
    return text.append(f" {uplink['entries']} entries not yet receipted{oldest}", style="default")


def _clock(clock: Mapping[str, Any]) -> str:
    bound = "unknown bound" if clock["bound_s"] is None else f"within {clock['bound_s'] * 1000:.1f} ms"
    return f"{clock['status']}, {bound}"
