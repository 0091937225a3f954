"""Renders the snapshot as Prometheus text (exposition format 0.0.4)."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.operation.findings import open_alarms, open_by_code, unacknowledged


class _Snapshot(Collector):
    def __init__(self, snapshot: dict[str, Any]) -> None:
        self._now = snapshot

    def collect(self) -> Iterable[Metric]:
        now = self._now
        yield GaugeMetricFamily("ebr_gateway_uptime_seconds", "Seconds since start", now["uptime_s"])
        yield GaugeMetricFamily(
            "ebr_gateway_clock_synchronised", "1 if the clock is synchronised", now["clock"]["status"] == "synchronised"
        )
        if now["clock"]["bound_s"] is not None:
            yield GaugeMetricFamily("ebr_gateway_clock_bound_seconds", "Bound of the clock's error against UTC", now["clock"]["bound_s"])
        yield GaugeMetricFamily("ebr_gateway_journal_bytes", "Bytes of the journal on disk", now["journal"]["bytes"])
        yield GaugeMetricFamily("ebr_gateway_journal_used_ratio", "Share of max_bytes", now["journal"]["used"])
        yield GaugeMetricFamily("ebr_gateway_journal_pressure", "1 while sources are held back", now["journal"]["pressure"] is not None)
        yield GaugeMetricFamily(
            "ebr_gateway_journal_hindered", "1 while another program hinders the journal", now["journal"]["hindered"] is not None
        )
        yield CounterMetricFamily("ebr_gateway_journal_entries", "Entries of this epoch", now["journal"]["seq"])
        yield from self._evidence()
        yield from self._sources()
        yield from self._uplinks()
        yield from self._findings()

    def _evidence(self) -> Iterable[Metric]:
        evidence, backup = self._now["evidence"], self._now["backup"]
        yield GaugeMetricFamily("ebr_gateway_checkpoint_refused", "1 if no checkpoint is signed any more", evidence["refused"] is not None)
        if evidence["age_s"] is not None:
            yield GaugeMetricFamily("ebr_gateway_checkpoint_age_seconds", "Age of the newest signed checkpoint", evidence["age_s"])
        away = GaugeMetricFamily("ebr_gateway_witness_away", "1 if the witness does not take checkpoints", labels=["witness"])
        holds = GaugeMetricFamily("ebr_gateway_witness_age_seconds", "Age of the newest checkpoint that it has", labels=["witness"])
        for witness in evidence["witnesses"]:
            away.add_metric([witness["name"]], witness["away"] is not None)
            if witness["age_s"] is not None:
                holds.add_metric([witness["name"]], witness["age_s"])
        yield from (away, holds)
        if backup is not None:
            yield GaugeMetricFamily("ebr_gateway_backup_failing", "1 if no backup can be made", backup["failing"] is not None)
        if backup is not None and backup["age_h"] is not None:
            yield GaugeMetricFamily("ebr_gateway_backup_age_seconds", "Age of the newest verified backup", backup["age_h"] * 3600)

    def _sources(self) -> Iterable[Metric]:
        connected = GaugeMetricFamily("ebr_gateway_source_connected", "1 if the source answers", labels=["source"])
        readings = CounterMetricFamily("ebr_gateway_source_readings", "Readings taken since start", labels=["source"])
        gaps = GaugeMetricFamily("ebr_gateway_source_open_gaps", "Open gaps", labels=["source"])
        late = CounterMetricFamily("ebr_gateway_source_late_polls", "Polls later than two periods after the last", labels=["source"])
        longest = GaugeMetricFamily("ebr_gateway_source_longest_silence_seconds", "Longest time without a poll", labels=["source"])
        for source in self._now["sources"]:
            connected.add_metric([source["name"]], source["state"] == "connected")
            readings.add_metric([source["name"]], source["readings"])
            gaps.add_metric([source["name"]], source["open_gaps"])
            late.add_metric([source["name"]], source["late"]["count"])
            longest.add_metric([source["name"]], source["late"]["longest_s"])
        return connected, readings, gaps, late, longest

    def _uplinks(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily("ebr_gateway_uplink_unreceipted_entries", "Entries without a receipt", labels=["uplink"])
        oldest = GaugeMetricFamily("ebr_gateway_uplink_oldest_seconds", "Age of the oldest entry without a receipt", labels=["uplink"])
        rejected = GaugeMetricFamily("ebr_gateway_uplink_rejected_entries", "Entries that the EBR rejects", labels=["uplink"])
        refused = CounterMetricFamily("ebr_gateway_uplink_refused_answers", "Answers of the EBR that proved nothing", labels=["uplink"])
        for uplink in self._now["uplinks"]:
            refused.add_metric([uplink["name"]], uplink["receipts_refused"])
            waiting.add_metric([uplink["name"]], uplink["entries"])
            if uplink["oldest_s"] is not None or not uplink["entries"]:  # an entry with a time to come has no age
                oldest.add_metric([uplink["name"]], uplink["oldest_s"] or 0)
            rejected.add_metric([uplink["name"]], uplink["rejected"])
        return waiting, oldest, rejected, refused

    def _findings(self) -> Iterable[Metric]:
        labels = ["code", "severity", "source"]
        total = CounterMetricFamily("ebr_gateway_findings", "Findings since start; source is empty for one of the gateway", labels=labels)
        for counted in self._now["findings_total"]:
            total.add_metric([counted[label] for label in labels], counted["count"])
        found = self._now["findings"]
        stand = GaugeMetricFamily("ebr_gateway_findings_open", "Findings that stand or wait for somebody", labels=["code", "severity"])
        for told, count in sorted(open_by_code(found).items()):
            stand.add_metric(list(told), count)
        alarms = open_alarms(found["standing"])
        waiting = unacknowledged(found)
        return (
            total,
            stand,
            GaugeMetricFamily("ebr_gateway_alarms_open", "Alarms that stand, as far as this run knows", alarms),
            GaugeMetricFamily("ebr_gateway_alarms_unacknowledged", "Alarms that nobody has acknowledged", waiting),
        )


def metrics(snapshot: dict[str, Any]) -> bytes:
    """Return all metrics of one snapshot."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(snapshot))
    return generate_latest(registry)
