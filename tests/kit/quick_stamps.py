"""A gateway that tells when its entries were committed, sent and confirmed as soon as it looks, where a test waits for it."""

from gateway.runtime import stamping


def quick() -> None:
    """Tell at each look instead of each minute."""
    stamping.TELL_EVERY_S = stamping.LOOK_EVERY_S
