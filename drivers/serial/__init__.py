"""Serial instruments: balances and others that send one answer per line.

Invariants. Only requests for values are sent: nothing that tares, zeroes or configures. A line becomes readings only if it is whole and
in the protocol's form; nothing is stripped, completed or repaired, and anything else is a loss with its bytes in the detail. After a
failure no answer counts until the driver is in step again, so that an older answer never passes for a new one. A number in another
unit than the map names is Bad.

The way of a value: `port` (bytes) -> `framing` (lines, whose beginning was seen) -> `mtsics`, `sbi` or `lines` (a line to fields, chosen by
`dialect`) -> `readings` (fields to readings).
"""

from drivers.serial.driver import SerialDriver

__all__ = ["SerialDriver"]
