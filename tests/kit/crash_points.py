"""Named points at which a process dies as by SIGKILL. Tests alone have them: functions of the journal are wrapped.

`GW_CRASH_AT=segment.closed:2 python crash_points.py gateway run LINE`: dies the second time that a segment has been closed.
`... crash_points.py journal FOLDER ENTRIES PHASE APPENDS`: the run of journal_oracle.py. GW_ENTRIES: entries of a segment.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

POINTS = {
    "recovery.locked": ("buffer.opening", "lock", "after"),
    "recovery.catalogue-open": ("buffer.opening", "_open_catalogue", "after"),
    "recovery.segment-checked": ("buffer.opening", "_take_open", "after"),
    "recovery.resumed": ("buffer.opening", "resume", "after"),
    "append.queued": ("buffer.writer:Writer", "append", "after"),
    "commit.headed": ("buffer.writer:Writer", "_head", "after"),
    "commit.begins": ("buffer.segment", "insert", "before"),
    "commit.inside": ("buffer.segment", "_fact_row", "before"),
    "commit.durable": ("buffer.segment", "insert", "after"),
    "promise.begins": ("buffer.writer:Writer", "_publish", "before"),
    "promise.given": ("buffer.writer:Writer", "_publish", "after"),
    "turn.next-file": ("buffer.segment", "create", "after"),
    "turn.next-known": ("buffer.store:Store", "_create", "after"),
    "turn.retired": ("buffer.store:Store", "_retire", "after"),
    "turn.done": ("buffer.store:Store", "_activate", "after"),
    "across.begins": ("buffer.store:Store", "commit_across", "before"),
    "across.done": ("buffer.store:Store", "commit_across", "after"),
    "log.emptied": ("buffer.segment", "checkpoint", "after"),
    "segment.closing": ("buffer.segment", "close", "before"),
    "segment.closed": ("buffer.segment", "close", "after"),
    "segment.summed": ("buffer.store", "file_sha256", "after"),
    "segment.noted": ("buffer.catalogue:Catalogue", "put_segments", "after"),
    "receipt.taken": ("buffer.receipts:Receipts", "acknowledge", "after"),
    "receipt.saving": ("buffer.receipts:Receipts", "save", "before"),
    "receipt.saved": ("buffer.receipts:Receipts", "save", "after"),
    "prune.named": ("buffer.retention", "prune", "after"),
    "prune.removing": ("buffer.retention", "remove", "before"),
    "prune.removed": ("buffer.retention", "remove", "after"),
    "checkpoint.stated": ("buffer.catalogue:Catalogue", "state_checkpoint", "after"),
    "checkpoint.signed": ("buffer.catalogue:Catalogue", "sign_checkpoint", "after"),
    "hold.noted": ("buffer.catalogue:Catalogue", "hold", "after"),
    "salvage.begins": ("buffer.repair.salvage", "rebuild", "before"),
    "salvage.marked": ("buffer.repair.salvage", "set_aside", "before"),
    "salvage.set-aside": ("buffer.repair.salvage", "set_aside", "after"),
    "salvage.written": ("buffer.repair.salvage", "_write", "after"),
    "salvage.rebuilt": ("buffer.repair.salvage", "rebuild", "after"),
    "epoch.begins": ("buffer.catalogue:Catalogue", "begin_epoch", "before"),
    "epoch.begun": ("buffer.catalogue:Catalogue", "begin_epoch", "after"),
    "stop.summing": ("buffer.store:Store", "_write_sums", "before"),
    "stop.done": ("buffer.store:Store", "_write_sums", "after"),
}
"""name -> (module, or module:class; function; whether it dies before the call or after it)"""


def arm(name: str, times: int) -> None:
    """Wrap the function of this point: the process dies when it is reached for the `times`th time."""
    place, attribute, when = POINTS[name]
    module, _, owner_name = place.partition(":")
    owner: Any = getattr(importlib.import_module(module), owner_name) if owner_name else importlib.import_module(module)
    setattr(owner, attribute, _dying(getattr(owner, attribute), name, times, before=when == "before"))


def _dying(call: Callable[..., Any], name: str, times: int, *, before: bool) -> Callable[..., Any]:
    left = [times]

    def reached() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.write(2, f"crashed at {name}\n".encode())
            os._exit(137)  # nothing is flushed, closed or told, as by SIGKILL

    @functools.wraps(call)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            reached()
        result = call(*arguments, **options)
        if not before:
            reached()
        return result

    return wrapped


def main() -> None:
    what, *words = sys.argv[1:]
    sys.argv = [what, *words]
    if "GW_ENTRIES" in os.environ:
        import buffer.segment
        import buffer.verify

        buffer.segment.ENTRIES = buffer.verify.SEGMENT = int(os.environ["GW_ENTRIES"])
    if "GW_CRASH_AT" in os.environ:
        name, _, times = os.environ["GW_CRASH_AT"].partition(":")
        arm(name, int(times or 1))
    if what == "journal":
        sys.path[0] = str(Path(__file__).parents[1])
        from kit.journal_oracle import RUN

        exec(compile(RUN, "run", "exec"), {"__name__": "__main__"})
    else:
        from gateway.cli import main as gateway_main
        from gateway.evidence.checkpoints import Checkpoints
        from gateway.runtime import retention

        retention.PRUNE_EVERY_S = 2.0
        vars(Checkpoints)["__init__"].__kwdefaults__["every_s"] = 2.0
        gateway_main()


if __name__ == "__main__":
    main()
