"""A simulated floor scale that speaks MT-SICS on a pseudo-terminal."""

from simulators.scale.device import Scale, ScaleFault

__all__ = ["Scale", "ScaleFault"]
