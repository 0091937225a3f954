"""Orders to a running simulated line: what a person would do at a device, a MES or a laboratory, given by a program.

An order is a JSON object; `do` names it. The devices write what follows into their own ground truth, as whatever else they do.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from simulators.device import Device
from simulators.line.beyond import Beyond
from simulators.modbus_plc.faults import Fault
from simulators.scale.device import ScaleFault

Order = Mapping[str, Any]
Script = Sequence[tuple[float, Order]]
"""Orders by the plant's own seconds, in their order."""


class NotObeyed(Exception):
    """An order can not be obeyed; the text says why."""


class Orders:
    """Obeys orders. script: those that come by themselves at their second.

    held: tag -> the value that it keeps, whatever the process does. away: sources that were switched off.
    """

    def __init__(
        self, devices: Mapping[str, Device], drivers: Mapping[str, str], beyond: Beyond, now: Callable[[], int], script: Script = ()
    ) -> None:
        """drivers: of each source. now: the time in ticks."""
        self.held: dict[str, Any] = {}
        self.away: set[str] = set()
        self._devices, self._drivers, self._beyond, self._now = devices, drivers, beyond, now
        self._script = list(script)
        self._newest: dict[str, tuple[str, dict[str, Any]]] = {}

    def wrote(self, source: str, name: str, row: Mapping[str, Any]) -> None:
        """Take note of the newest row of a MES or laboratory."""
        self._newest[source] = name, dict(row)

    async def due(self, at_s: float) -> None:
        """Obey what the script has for the time until now."""
        while self._script and self._script[0][0] <= at_s:
            await self.obey(self._script.pop(0)[1])

    async def obey(self, order: Order) -> dict[str, Any]:
        """Obey an order and return its answer; one with `error` where it can not be obeyed."""
        words: dict[str, Callable[[Order], Awaitable[dict[str, Any]]]] = {
            "beyond": self._side, "hold": self._hold, "free": self._free, "stop": self._stop, "start": self._start,
            "fault": self._fault, "insert": self._insert, "change": self._change, "delete": self._delete, "status": self._status,
            "no-number": self._no_number, "clock": self._clock, "unit": self._unit, "type": self._type,
            "remove": self._remove, "restore": self._restore, "again": self._again, "tear": self._tear, "torn": self._torn,
            "whole": self._whole, "exchange": self._exchange,
        }  # fmt: skip
        try:
            word = words[str(order["do"])]
            return await word(order)
        except NotObeyed as error:
            return {"error": str(error)}
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            return {"error": f"{order}: {type(error).__name__}: {error}"[:400]}

    async def _side(self, order: Order) -> dict[str, Any]:
        if order.get("side") not in ("high", "low", None):
            raise NotObeyed(f"{order['side']} is no side: high, low, null")
        self._beyond.side = order.get("side")
        return {}

    async def _hold(self, order: Order) -> dict[str, Any]:
        self.held[str(order["tag"])] = order["value"]
        return {}

    async def _free(self, order: Order) -> dict[str, Any]:
        self.held.pop(str(order["tag"]), None)
        return {}

    async def _stop(self, order: Order) -> dict[str, Any]:
        device = self._device(order)
        self.away.add(str(order["source"]))
        await device.stop()
        return {}

    async def _start(self, order: Order) -> dict[str, Any]:
        await self._device(order).start()
        self.away.discard(str(order["source"]))
        return {}

    async def _fault(self, order: Order) -> dict[str, Any]:
        device, kinds = self._device(order), {"modbus": Fault, "serial": ScaleFault}
        kind: Any = kinds.get(self._drivers[str(order["source"])])
        if kind is None:
            raise NotObeyed(f"{order['source']}: faults of single answers are for modbus and serial")
        device.faults.append(kind(**{name: value for name, value in order.items() if name not in ("do", "id", "source")}))
        return {}

    async def _insert(self, order: Order) -> dict[str, Any]:
        device, name, row = self._device(order), str(order["name"]), dict(order["row"])
        if self._drivers[str(order["source"])] == "mes_file":
            return {"row": (await device.drop(name, [row], self._now()))[0]}
        return {"row": await device.insert(name, row, self._now())}

    async def _change(self, order: Order) -> dict[str, Any]:
        row = await self._device(order).change(str(order["name"]), str(order["key"]), dict(order["row"]), self._now())
        return {"row": row}

    async def _delete(self, order: Order) -> dict[str, Any]:
        await self._device(order).delete(str(order["name"]), str(order["key"]), self._now())
        return {}

    async def _status(self, order: Order) -> dict[str, Any]:
        self._device(order).set_status(str(order["tag"]), int(order["status"]), self._now())
        return {}

    async def _no_number(self, order: Order) -> dict[str, Any]:
        self._device(order).set_no_number(str(order["tag"]), self._now())
        return {}

    async def _clock(self, order: Order) -> dict[str, Any]:
        clock = getattr(self._device(order), "clock", None)
        if clock is None:
            raise NotObeyed(f"{order['source']}: tells no time")
        clock.put(float(order["offset_s"]), float(order.get("drift_ppm", 0.0)))
        return {}

    async def _unit(self, order: Order) -> dict[str, Any]:
        self._device(order).declare(str(order["tag"]), str(order["unit"]), self._now())
        return {}

    async def _type(self, order: Order) -> dict[str, Any]:
        self._device(order).set_other_type(str(order["tag"]), order["value"], self._now())
        return {}

    async def _remove(self, order: Order) -> dict[str, Any]:
        self._device(order).remove(str(order["tag"]))
        return {}

    async def _restore(self, order: Order) -> dict[str, Any]:
        self._device(order).restore(str(order["tag"]))
        return {}

    async def _tear(self, order: Order) -> dict[str, Any]:
        """Have a counter of a Modbus device run on while its registers are read one after the other; the process leaves it alone."""
        memory, tag = self._device(order).memory, str(order["tag"])
        self.held[tag] = memory.tear(tag, int(order["start"]), int(order["step"]), str(order["first"]))
        return {}

    async def _torn(self, order: Order) -> dict[str, Any]:
        return {"torn": self._device(order).memory.torn[str(order["tag"])]}

    async def _whole(self, order: Order) -> dict[str, Any]:
        self._device(order).memory.whole(str(order["tag"]))
        return await self._torn(order) | await self._free(order)

    async def _exchange(self, order: Order) -> dict[str, Any]:
        self._device(order).memory.exchange(str(order["tag"]))
        return {}

    async def _again(self, order: Order) -> dict[str, Any]:
        """Undo the newest row of a database, or drop the newest record once more; nothing where there is none yet."""
        device, (name, row) = self._device(order), self._newest.get(str(order["source"]), ("", {}))
        if row and self._drivers[str(order["source"])] == "mes_file":
            await device.drop(name, [row], self._now())
        elif row:
            self._newest.pop(str(order["source"]))
            await device.delete(name, device.key_of(name, row), self._now())
        return {}

    def _device(self, order: Order) -> Any:
        """Find the device of an order: each kind has doings of its own, and one that it has not is not obeyed."""
        try:
            return cast("Any", self._devices[str(order["source"])])
        except KeyError:
            raise NotObeyed(f"no device {order.get('source')} is served") from None
