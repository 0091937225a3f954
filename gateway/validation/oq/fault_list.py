"""The faults that an operational qualification is asked for, each by the case that plays it, or with the reason why none does."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A fault. why: no case plays it, because; empty: cases name it (`Case.faults`)."""

    id: str
    where: str
    title: str
    why: str = ""


PLUG = (
    "whether this machine's disk lies, only a pulled plug shows: pull it while the line is recorded, and `verify` (OQ-31 plays such a disk)"
)

FAULTS = (
    Fault("link-cut", "source", "link cut"),
    Fault("link-slow", "source", "link slow"),
    Fault("link-half-open", "source", "link half-open"),
    Fault("reboot", "source", "device switched off and on"),
    Fault("source-clock", "source", "clock of the device ahead by 5 s, behind by 1 h, drifting"),
    Fault("unit-change", "source", "unit changed"),
    Fault("type-change", "source", "type changed"),
    Fault("node-removed", "source", "node or address removed"),
    Fault("overflow", "source", "value beyond what its type holds"),
    Fault("stale", "source", "value that stands still and says Good"),
    Fault("silent", "source", "flat line, stuck counter, zeros, frozen stamp, jump: wrong values that say Good"),
    Fault("nan", "source", "no number (NaN)"),
    Fault("torn", "source", "32-bit value torn between two reads"),
    Fault("word-swap", "source", "words of a value swapped"),
    Fault("crc", "source", "checksum wrong", "in OQ-17 where a Modbus source is on a serial line; Modbus TCP has none"),
    Fault("exception-code", "source", "device answers with an error"),
    Fault("mes-edit", "source", "row of the MES edited"),
    Fault("mes-delete", "source", "row of the MES deleted"),
    Fault("mes-late", "source", "row of the MES that is late"),
    Fault("dst", "source", "local times of the nights in which clocks are set"),
    Fault("result-replaced", "source", "laboratory result replaced"),
    Fault("duplicate-lot", "source", "lot number that comes twice"),
    Fault("unmapped-code", "source", "code that no table lists"),
    Fault("kill", "machine", "process killed (SIGKILL)"),
    Fault("power", "machine", "power lost: what was not flushed is gone"),
    Fault("false-flush", "machine", "power lost, with a disk that says it has flushed and has not"),
    Fault("plug", "machine", "this machine's own disk, when its plug is pulled", PLUG),
    Fault("disk-full", "machine", "disk full"),
    Fault("read-only", "machine", "disk that turns read-only, flush that fails"),
    Fault("bit-flip", "machine", "a bit or a row of the record changed"),
    Fault("suspend", "machine", "process or machine frozen"),
    Fault("clock-set", "machine", "clock set forward and back"),
    Fault("ntp-down", "machine", "time servers silent"),
    Fault("falseticker", "machine", "time server that is wrong"),
    Fault("leap", "machine", "leap second"),
    Fault("cert-expired", "machine", "certificate that has ended"),
    Fault("config-edited", "machine", "line folder edited on disk"),
    Fault("ebr-away", "uplink", "EBR away"),
    Fault("loss", "uplink", "pages and receipts lost"),
    Fault("doubled", "uplink", "pages sent twice"),
    Fault("delay", "uplink", "receipts late"),
    Fault("reorder", "uplink", "entries out of order"),
    Fault("unstored", "uplink", "answered, and not stored"),
    Fault("http-errors", "uplink", "answers 4xx and 5xx"),
    Fault("poison", "uplink", "one record that is refused"),
    Fault("schema-refusal", "uplink", "schema or version that is refused"),
    Fault("wrong-ca", "uplink", "certificate of another authority"),
    Fault("alters", "uplink", "EBR that drops what it answered for, or answers for something else"),
    Fault("persons", "persons", "commands by nobody, by a wrong password, by a role that may not"),
    Fault("restore", "machine", "journal lost and restored"),
    Fault("limits", "source", "parameters beyond their limits"),
    Fault("fallback", "persons", "records led elsewhere for a time, and back"),
)
