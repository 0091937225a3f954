"""Before a line runs: browse a server, probe a tag map against it, check settings and certificates.

The command line enters here for certificates, which only OPC UA sources have; it reaches browse and probe by `drivers.contract`.
"""

from drivers.opcua.session import certs

__all__ = ["certs"]
