"""The pages of a snapshot, rendered in this process."""

from collections.abc import Mapping
from typing import Any, cast

from kit.served_pages import Shown

from gateway.operation.status import Status
from gateway.pages.rendering import Frame
from gateway.pages.views import PAGES


def rendered(now: Mapping[str, Any], *addresses: str) -> str:
    """The pages at these addresses, all if none is named, one after the other."""
    shown = cast(Status, Shown(dict(now)))
    return "".join(PAGES[address](shown, Frame(now["gateway"], address), 1) for address in addresses or PAGES)
