"""The way in: what a driver or a pusher hands over becomes entries of the journal, in one order, with one clock.

Invariants:

- A list is taken whole or not at all: `append` appends all its drafts, and what the fold makes of them, or none.
- The order of calls is the order of entries. Nothing is awaited between the first line of a call and the journal's queue; only the commit
  is waited for.
- Every entry has its place (`seq`) and its stamp before the fold sees it, and the fold sees it before it is written. The fold of the next
  start, which reads the journal alone, decides the same.
- A source's watermark is committed in the transaction of the entries that it stands for.
- What is observed never runs ahead of what is appended: a heartbeat proves no value that the journal lacks.
- A call that is refused changes nothing: not the fold, not the observation, not the watermark, not what counts as told. Refused are a list
  too many, before anything else, and an event that no entry can hold, before the fold sees it: the fault of its source alone. What fails
  later, the journal's own refusal, finds the fold ahead of the journal: nothing is taken any more, and the process ends.
- Time in which nobody asked is no observation: a poll that begins later than two periods after the last one of its tags is preceded by a
  gap, whatever kept the process (`asking`). No driver can forget it.
- What is not taken is told to the source, never dropped: the driver waits in `room()`, and who polls has a gap with the cause.

The order of one call of a port (`Port.__call__`), which is that of its entries:

1. refuse, if 32 lists of the source are under way to the disk; take out what stands in the journal already and is told again (`retold`);
2. draft the gaps of tags that it asked for too late (`asking`), that the source went on without loss, then the rows of a MES
   (`row_events`);
3. judge the source's clock by the list's stamps (`source_clock`): an alarm is an append of its own, before the list;
4. put the readings in time, normalise them, leave out unchanged polls (`poll_filter`): from here on the list counts as stored. A list by
   column is taken at once (`by_column`), or in doubt as any other: the entries are the same;
5. draft its entries (`readings`), cut where a context signal changes, then what was found among its values (`findings`); a list that
   moves the watermark and has none of these drafts an event for it;
6. `append`, see below;
7. remember the list for who looks (`recent`), and note what has been observed (`observation`): after 4, for a list proves observation
   through its latest row, and after 6;
8. open a gap, if polls were held back before this one: after 7, for it begins at the last observation.

The order of one append (`Intake.append`), for each draft, with configuration and tag tables (`preamble`) before the first of a segment:

1. number and stamp it; encode it, if it is an event;
2. the fold decides;
3. encode readings, with the contexts that now hold;
4. hand each event of the fold to who acts on it (`on_caused`), and encode it;

then, for all drafts: the fold's state if it is due, and the journal's queue, with the watermark. From there on `on_fault` ends the process.

Modules, each knowing those after it: `intake`, `port`, `asking`, then what decides for a port, then `drafts`. `push` stands beside them:
order parameters that are sent to the gateway; it is a second door, for a line without [push] pays for no HTTP server.
"""

from gateway.intake.asking import LateCycles
from gateway.intake.intake import Intake
from gateway.intake.port import Port
from gateway.intake.preamble import software_version
from gateway.intake.push_tokens import PushTokens
from gateway.intake.recent import Point

__all__ = ["Intake", "LateCycles", "Point", "Port", "PushTokens", "software_version"]
