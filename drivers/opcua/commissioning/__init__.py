"""Before a line runs: browse a server, probe a tag map against it, check settings and certificates.

What always holds: these read only, and leave nothing behind on the server. The same server gives the same rows, byte for byte; a probe
subscribes exactly as the gateway would: `driver`, which stands above, hands its own `run` in.

The command line enters here for certificates, which only OPC UA sources have; it reaches browse and probe by `drivers.contract`.
"""

from drivers.opcua.session import certs

__all__ = ["certs"]
