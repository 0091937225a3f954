"""What decoding an OPC UA data change of 1,000 records costs, by mix of types; prints a table.

Each mix as the driver meets it: from the third message on of a subscription whose items all change (remembered), and with the item order
changed at each message (by record). The least of many runs: what the machine's other work adds is not the decoder's.
"""

import random
import struct
import time

from config import Source, Tag
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import Decoder
from drivers.opcua.plan import MonitoringPlan, decoding, plan_of
from drivers.opcua.session.variant import FIXED, STRING
from drivers.opcua.settings import OpcUaSettings

ITEMS, RUNS = 1_000, 60
PLC = Source(name="plc", driver="opcua", endpoint="opc.tcp://127.0.0.1:4840")
TYPES = {"float64": 11, "int32": 6, "string": 12, "bool": 1}
MIXES = {
    "float64": ["float64"],
    "float64, int32, string, bool": ["float64", "int32", "string", "bool"],
    "float64, float64, int32, int32": ["float64", "float64", "int32", "int32"],
    "string": ["string"],
}


def data_change(plan: MonitoringPlan, tags: list[Tag], order: list[int]) -> bytes:
    """A data change with one record per item, in this order, as a server encodes it (Part 4, 7.25.2)."""
    items = [item for group in plan.groups for item in group.items]
    records = b""
    for place in order:
        number = TYPES[tags[items[place].bindings[0].tag].type]
        value = struct.pack("<i", 8) + b"RUNNING" + bytes([48 + place % 10]) if number == STRING else _packed(number, place)
        records += struct.pack("<IBB", items[place].handle, 13, number) + value
        records += struct.pack("<qq", 133_000_000_000_000_007 + place, 133_000_000_000_000_007)
    return struct.pack("<i", len(order)) + records + b"\xff\xff\xff\xff"


def _packed(number: int, value: int) -> bytes:
    return struct.pack("<" + FIXED[number], value % 2 if number == TYPES["bool"] else value)


def least_us(decoder: Decoder, bodies: list[bytes]) -> float:
    """CPU microseconds per record."""
    best = 1.0
    for run in range(RUNS):
        body = bodies[run % len(bodies)]
        begun = time.process_time()
        decoder.data_change(body, 0, len(body), [])
        best = min(best, time.process_time() - begun)
    return best * 1e6 / ITEMS


def main() -> None:
    """Print the table."""
    print(f"{'types of the items':32}{'us/record: remembered':>24}{'by record':>12}")
    for name, types in MIXES.items():
        tags = [Tag(tag=f"bench.t{n}", source="plc", address=f"ns=2;i={n}", type=types[n % len(types)]) for n in range(ITEMS)]
        plan = plan_of(PLC, OpcUaSettings(), tags)
        orders = [random.Random(seed).sample(range(ITEMS), ITEMS) for seed in range(RUNS)]
        figures = []
        for bodies in ([data_change(plan, tags, list(range(ITEMS)))], [data_change(plan, tags, order) for order in orders]):
            decoder = Decoder(*decoding(plan, tags), Converter(plan, tags, print))
            figures.append(least_us(decoder, bodies))
        print(f"{name:32}{figures[0]:24.2f}{figures[1]:12.2f}")


if __name__ == "__main__":
    main()
