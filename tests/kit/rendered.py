"""The pages of a snapshot, rendered in this process."""

from collections.abc import Mapping
from typing import Any

from gateway.pages.rendering import Frame
from gateway.pages.views import PAGES


def rendered(now: Mapping[str, Any], *addresses: str) -> str:
    """The pages at these addresses, all if none is named, one after the other."""
    return "".join(PAGES[address](now, Frame(now["gateway"], address)) for address in addresses or PAGES)
