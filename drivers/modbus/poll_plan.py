"""What a unit polls at one rate: its blocks, each with what is needed to read it again and again."""

from dataclasses import dataclass, field

from drivers.modbus.decode import Decode
from drivers.modbus.frames import Request
from drivers.modbus.plan import Block, Value
from drivers.modbus.schedule import Cycle
from drivers.modbus.torn import Guards


@dataclass(slots=True)
class BlockReader:
    """One block of the plan with all that is needed to read it again and again."""

    block: Block
    request: Request
    decode: Decode
    tags: tuple[int, ...]
    guards: Guards | None
    always: bool  # a tag with store = all is in it: every poll is listed
    untold: frozenset[int] = frozenset()  # tags of which a good value may not tell its registers
    last: bytes | None = None
    listed_s: float = 0.0
    lost: bool = False
    resume_s: float = 0.0  # refused as a whole: not asked before
    wait_s: float = 0.0  # the last wait of a block that is refused as a whole
    troubles: int = 0  # polls in a row that a living unit did not answer


@dataclass(slots=True)
class PollPlan:
    """All blocks of one unit at one rate."""

    cycle: Cycle
    readers: list[BlockReader]
    unreadable: dict[Value, float] = field(default_factory=dict)  # when each is tried again
