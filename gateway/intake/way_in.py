"""What all ports of a line share."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config import CodeTable
from gateway.clock import Clock
from gateway.context import Fold
from gateway.intake.drafts import Append
from gateway.intake.flow import Flow
from gateway.intake.retold import Key
from gateway.intake.simulators import Simulators
from gateway.intake.unmapped import Mapped


@dataclass(frozen=True, slots=True)
class WayIn:
    """What all ports of a line share. watermark: what was committed last under a source's name. started: in ticks, when this run began.

    remembered: how many of its latest readings each source keeps in memory, for who looks. simulators: which sources say that they are.
    mapped: which rows something uses. standing: by source, what stands in the journal behind its watermark.
    """

    append: Append
    clock: Clock
    fold: Fold
    flow: Flow
    codes: Mapping[str, CodeTable]
    watermark: Callable[[str], Mapping[str, Any]]
    started: int
    remembered: int
    simulators: Simulators
    mapped: Mapped
    standing: Mapping[str, Counter[Key]] = field(default_factory=dict)
