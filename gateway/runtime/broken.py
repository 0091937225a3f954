"""Says which parts of the gateway failed, and that one works again as soon as it has been seen at work."""

import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from gateway.entries.findings import Announcer, finding


class Broken:
    """Keeps what failed among the problems, and has it told once by an alarm, and once when it is over."""

    def __init__(self, shown: MutableMapping[str, str], event: Callable[[Mapping[str, Any]], object]) -> None:
        """shown: name of a part -> why it failed; the names are the program's, so they are few. event: appends an event, not waited for."""
        self._shown, self._announcer = shown, Announcer(event)

    def __contains__(self, name: str) -> bool:
        """Return whether this part failed and was not seen at work since."""
        return name in self._shown

    def failed(self, name: str, why: str) -> None:
        """Note that a part failed. It is news if it worked before, or fails for another reason; another number in it is no other reason."""
        self._shown[name] = why
        event = finding("part-failed", "alarm", f"{name}: {why}", {"part": name})
        self._announcer.once_until_changed(name, event, state=re.sub(r"\d+", "0", why))

    def works(self, name: str) -> None:
        """Note that a part has done what it is there for. Cheap: may be called at each round."""
        if self._shown.pop(name, None) is not None:
            event = finding("part-works", "info", f"{name}: works again", {"part": name})
            self._announcer.once_until_changed(name, event, state="")
