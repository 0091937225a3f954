"""OPC UA sources."""

from drivers.opcua.driver import OpcUaDriver

__all__ = ["OpcUaDriver"]
