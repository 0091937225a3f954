"""Modbus over TCP and RTU: block reads on an absolute schedule, answers matched in every field.

Invariants. Only function codes 1 to 4 are sent: the driver can not write. A value is never divided over two requests. An answer that
does not match its request in unit, function, length and (TCP) transaction number never becomes a value. A unit that is silent
costs its neighbours on the link one time-out per attempt and no more. Whatever is not read is a loss of exactly the tags concerned.

The way of a value: `plan` (which reads) -> `dividing` (what the device refuses) -> `unit` (when) -> `tcp` or `rtu` (bytes) -> `frames`
(is it the answer?) -> `decode` -> `torn` (is it whole?) -> `outlet` (emit).
"""

from drivers.modbus.driver import ModbusDriver

__all__ = ["ModbusDriver"]
