"""Renders the snapshot as Prometheus text (exposition format 0.0.4). docs/monitoring.md has the table of them, made from this module."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.operation.findings import open_alarms, open_by_code, unacknowledged


def metrics(snapshot: dict[str, Any]) -> bytes:
    """Return all metrics of one snapshot; each names its line."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OfLine(snapshot))
    return generate_latest(registry)


class _OfLine(Collector):
    def __init__(self, snapshot: dict[str, Any]) -> None:
        self._now = snapshot

    def collect(self) -> Iterator[Metric]:
        for metric in families(self._now):
            for sample in metric.samples:
                sample.labels["line"] = self._now["gateway"]
            yield metric


def families(now: dict[str, Any]) -> Iterator[Metric]:
    """Yield every family of a snapshot, without the label `line`. One that nobody can know now has no sample."""
    yield from _gateway(now)
    yield from _journal(now["journal"])
    yield from _evidence(now["evidence"], now["backup"])
    yield from _sources(now["sources"])
    yield from _uplinks(now["uplinks"])
    yield from _batches(now["equipment"])
    yield from _findings(now)


def _gauge(name: str, what: str, value: float | bool | None) -> GaugeMetricFamily:  # noqa: FBT001 - a value like the others
    """Make a gauge without labels; None: nobody knows it now, so it has no sample."""
    family = GaugeMetricFamily(f"ebr_gateway_{name}", what)
    if value is not None:
        family.add_metric([], float(value))
    return family


def _gateway(now: dict[str, Any]) -> Iterator[Metric]:
    configuration, clock = now["configuration"], now["clock"]
    interface = (configuration.get("interface_sha256") or "")[:16]
    state = configuration.get("state") or ""
    told = (now["software"], now["environment"], str(configuration["version"]), state, interface)
    yield InfoMetricFamily(
        "ebr_gateway_build", "Software, configuration with its state, and digest of the interfaces", dict(zip(_TOLD, told, strict=True))
    )
    yield _gauge("uptime_seconds", "Seconds since the start", now["uptime_s"])
    yield _gauge("parts_failed", "Parts of the gateway that failed and are tried again", len(now["broken"]))
    yield _gauge("clock_synchronised", "1 if the clock is synchronised", clock["status"] == "synchronised")
    yield _gauge("clock_bound_seconds", "Bound of the clock's error against UTC", clock["bound_s"])


def _journal(journal: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("journal_bytes", "Bytes of the journal on disk", journal["bytes"])
    yield _gauge("journal_used_ratio", "Share of the space that it may take", journal["used"])
    yield _gauge("journal_days_to_full", "Days until it is full at the present rate", journal["days_to_full"])
    yield _gauge("journal_pressure", "1 while sources are held back", journal["pressure"] is not None)
    yield _gauge("journal_hindered", "1 while another program hinders the journal", journal["hindered"] is not None)
    yield CounterMetricFamily("ebr_gateway_journal_entries", "Entries of this epoch", journal["seq"])


def _evidence(evidence: dict[str, Any], backup: dict[str, Any] | None) -> Iterator[Metric]:
    yield _gauge("checkpoint_refused", "1 if no checkpoint is signed any more", evidence["refused"] is not None)
    yield _gauge("checkpoint_age_seconds", "Age of the newest signed checkpoint", evidence["age_s"])
    away = GaugeMetricFamily("ebr_gateway_witness_away", "1 if the witness does not take checkpoints", labels=["witness"])
    holds = GaugeMetricFamily("ebr_gateway_witness_age_seconds", "Age of the newest checkpoint that it has", labels=["witness"])
    for witness in evidence["witnesses"]:
        away.add_metric([witness["name"]], witness["away"] is not None)
        if witness["age_s"] is not None:
            holds.add_metric([witness["name"]], witness["age_s"])
    yield from (away, holds)
    age_h = None if backup is None else backup["age_h"]
    yield _gauge("backup_failing", "1 if no backup can be made", None if backup is None else backup["failing"] is not None)
    yield _gauge("backup_age_seconds", "Age of the newest verified backup", None if age_h is None else age_h * 3600)


def _sources(sources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    connected = GaugeMetricFamily("ebr_gateway_source_connected", "1 if the source answers", labels=["source"])
    readings = CounterMetricFamily("ebr_gateway_source_readings", "Readings taken since the start", labels=["source"])
    gaps = GaugeMetricFamily("ebr_gateway_source_open_gaps", "Open gaps", labels=["source"])
    hidden = GaugeMetricFamily("ebr_gateway_source_hidden_tags", "Tags that are not observed now", labels=["source"])
    unmapped = CounterMetricFamily("ebr_gateway_source_unmapped", "Rows, events and lines of no use in the map", labels=["source"])
    late = CounterMetricFamily("ebr_gateway_source_late_polls", "Polls later than two periods after the last", labels=["source"])
    longest = GaugeMetricFamily("ebr_gateway_source_longest_silence_seconds", "Longest time without a poll", labels=["source"])
    offset = GaugeMetricFamily("ebr_gateway_source_clock_offset_seconds", "How far the source's clock is ahead of UTC", labels=["source"])
    for source in sources:
        name = [source["name"]]
        connected.add_metric(name, source["state"] == "connected")
        readings.add_metric(name, source["readings"])
        gaps.add_metric(name, source["open_gaps"])
        hidden.add_metric(name, source["tags_hidden"])
        unmapped.add_metric(name, source["unmapped"]["count"])
        late.add_metric(name, source["late"]["count"])
        longest.add_metric(name, source["late"]["longest_s"])
        if source["clock"].get("offset_s") is not None:
            offset.add_metric(name, source["clock"]["offset_s"])
    yield from (connected, readings, gaps, hidden, unmapped, late, longest, offset)


def _uplinks(uplinks: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    connected = GaugeMetricFamily("ebr_gateway_uplink_connected", "1 if entries go out and are confirmed", labels=["uplink"])
    waiting = GaugeMetricFamily("ebr_gateway_uplink_unreceipted_entries", "Entries without a receipt", labels=["uplink"])
    oldest = GaugeMetricFamily("ebr_gateway_uplink_oldest_seconds", "Age of the oldest entry without a receipt", labels=["uplink"])
    resent = CounterMetricFamily("ebr_gateway_uplink_resends", "How often entries were sent again since the start", labels=["uplink"])
    rejected = GaugeMetricFamily("ebr_gateway_uplink_rejected_entries", "Entries that the EBR rejects", labels=["uplink"])
    refused = CounterMetricFamily("ebr_gateway_uplink_refused_answers", "Answers of the EBR that proved nothing", labels=["uplink"])
    for uplink in uplinks:
        name = [uplink["name"]]
        connected.add_metric(name, uplink["state"] == "forwarding")
        waiting.add_metric(name, uplink["entries"])
        if uplink["oldest_s"] is not None or not uplink["entries"]:  # an entry with a time to come has no age
            oldest.add_metric(name, uplink["oldest_s"] or 0)
        resent.add_metric(name, uplink["resends"])
        rejected.add_metric(name, uplink["rejected"])
        refused.add_metric(name, uplink["receipts_refused"])
    yield from (connected, waiting, oldest, resent, rejected, refused)


def _batches(equipment: dict[str, dict[str, Any]]) -> Iterator[Metric]:
    in_it = GaugeMetricFamily("ebr_gateway_batch_open", "1 while a batch is in the equipment", labels=["equipment"])
    missing = GaugeMetricFamily("ebr_gateway_batch_missing_values", "Required values that its batch lacks so far", labels=["equipment"])
    gaps = GaugeMetricFamily("ebr_gateway_batch_gaps", "Gaps that its batch has so far", labels=["equipment"])
    for name, unit in equipment.items():
        so_far = unit.get("so_far")
        in_it.add_metric([name], so_far is not None)
        if so_far is not None:
            missing.add_metric([name], so_far["missing"])
            gaps.add_metric([name], so_far["gaps"])
    yield from (in_it, missing, gaps)


def _findings(now: dict[str, Any]) -> Iterator[Metric]:
    labels = ["code", "severity", "source"]
    total = CounterMetricFamily("ebr_gateway_findings", "Findings since the start; source is empty for one of the gateway", labels=labels)
    for counted in now["findings_total"]:
        total.add_metric([counted[label] for label in labels], counted["count"])
    found = now["findings"]
    stand = GaugeMetricFamily("ebr_gateway_findings_open", "Findings that stand or wait for somebody", labels=["code", "severity"])
    for told, count in sorted(open_by_code(found).items()):
        stand.add_metric(list(told), count)
    yield from (total, stand)
    yield _gauge("alarms_open", "Alarms that stand, as far as this run knows", open_alarms(found["standing"]))
    yield _gauge("alarms_unacknowledged", "Alarms that nobody has acknowledged", unacknowledged(found))


_TOLD = ("software", "environment", "configuration", "state", "interface")


def table() -> str:
    """Return the rows of docs/monitoring.md: name as it is asked for, kind, labels, what it says."""
    rows = []
    for metric in families(_EMPTY):
        name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        labels = ["line", *(_TOLD if metric.type == "info" else metric._labelnames)]  # type: ignore[attr-defined]  # noqa: SLF001
        rows.append(f"| `{name}` | {metric.type} | {', '.join(f'`{label}`' for label in labels)} | {metric.documentation} |")
    return "\n".join(sorted(rows)) + "\n"


_EMPTY: dict[str, Any] = {
    "gateway": "",
    "software": "",
    "environment": "",
    "configuration": {"version": 0},
    "uptime_s": 0,
    "broken": {},
    "clock": {"status": "", "bound_s": None},
    "journal": {"bytes": 0, "used": 0, "days_to_full": None, "pressure": None, "hindered": None, "seq": 0},
    "evidence": {"refused": None, "age_s": None, "witnesses": []},
    "backup": None,
    "sources": [],
    "uplinks": [],
    "equipment": {},
    "findings": {"known_since": None, "unkept": 0, "unacknowledged": 0, "standing": [], "cleared": [], "recent": []},
    "findings_total": [],
}
"""A line of which nothing is known: every family, and no sample."""

if __name__ == "__main__":
    import sys

    sys.stdout.write(table())
