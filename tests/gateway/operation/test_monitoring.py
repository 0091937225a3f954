"""The metrics are those of the documentation; rules and dashboard that go with them ask for what there is, and tell what is wrong."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kit.line_states import STATES
from kit.repository import ROOT
from kit.snapshots import snapshot, source, unit, uplink
from prometheus_client.parser import text_string_to_metric_families

from gateway.operation.metrics import metrics, table

pytestmark = pytest.mark.urs("URS-OBS-02")
RULES, DASHBOARD = ROOT / "monitoring" / "prometheus-rules.yml", ROOT / "monitoring" / "grafana-dashboard.json"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not installed: rules are not tried")
NAMES = set(re.findall(r"^\| `(\w+)`", table(), re.MULTILINE))
WAITS = "EbrGatewayAlarmsWait"
TOLD = {
    "source-down": {"EbrGatewaySourceAway", "EbrGatewayTagsHidden"},
    "all-down": {"EbrGatewaySourceAway", "EbrGatewayTagsHidden", "EbrGatewayUplinkStands", WAITS},
    "uplink-down": {"EbrGatewayUplinkStands", WAITS},
    "clock-lost": {"EbrGatewayClockNotSynchronised", WAITS},
    "disk-nearly-full": {"EbrGatewayJournalFills", WAITS},
    "disk-full": {"EbrGatewayHeldBack", "EbrGatewayJournalFills", WAITS},
    "held-back": {"EbrGatewayHeldBack", WAITS},
    "batch-incomplete": {"EbrGatewayBatchLacksValues", "EbrGatewayRecordDoubtful"},
    "steps-without-a-batch": {"EbrGatewayRecordDoubtful"},
    "files-refused": {WAITS},
    "certificate-ending": {"EbrGatewayWarnings"},
    "unapproved-configuration": {WAITS},
    "two-histories": {"EbrGatewayUplinkStands", WAITS},
    "version-not-accepted": {"EbrGatewayUplinkStands", WAITS},
    "legacy-beside": set[str](),
    "sunset-near": set[str](),
    "sunset-passed": {WAITS},
    "good": set[str](),
}
"""State of a line -> the rules that tell of it."""


def series(now: dict[str, Any]) -> list[dict[str, str]]:
    """The metrics of a snapshot as they would be scraped for two hours, all that time the same; findings came in the last ten minutes."""
    found = [sample for family in text_string_to_metric_families(metrics(now).decode()) for sample in family.samples]
    labels = [",".join(f"{name}={json.dumps(value)}" for name, value in sample.labels.items()) for sample in found]
    values = [f"0x190 {sample.value}x50" if sample.name == "ebr_gateway_findings_total" else f"{sample.value}x240" for sample in found]
    return [{"series": f"{sample.name}{{{text}}}", "values": value} for sample, text, value in zip(found, labels, values, strict=True)]


def promtool(*words: str | Path) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def asked() -> list[str]:
    """Every expression of the rules and the dashboard, for one line or many."""
    rules = [text.replace("''", "'") for text in re.findall(r"expr: '(.*)'", RULES.read_text("utf-8"))]
    panels = [
        target["expr"].replace("$line", ".*") for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"] for target in panel["targets"]
    ]
    return [*rules, *panels]


def test_the_documentation_has_every_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert page.endswith(f"\n{table()}"), "run: python -m gateway.operation.metrics, and put the rows into docs/monitoring.md"


def test_every_metric_names_its_line_and_what_nobody_knows_has_no_sample() -> None:
    now = snapshot() | {
        "sources": [source()],
        "uplinks": [uplink(resends=0)],
        "equipment": {"mixer": unit("B1", "MIX")},
        "findings_total": [],
    }
    now["clock"]["bound_s"], now["journal"]["days_to_full"], now["backup"] = None, None, None
    text = metrics(now).decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert samples
    assert all('line="lyon/test-1"' in line for line in samples)
    for name in ("clock_bound_seconds", "journal_days_to_full", "backup_age_seconds", "source_clock_offset_seconds"):
        assert not [line for line in samples if line.startswith(f"ebr_gateway_{name}")], name


def test_rules_and_dashboard_ask_for_metrics_that_there_are() -> None:
    expressions = asked()
    assert len(expressions) > 30
    named = {name for text in expressions for name in re.findall(r"\bebr_gateway_\w+", text)}
    assert named <= NAMES
    ids = [panel["id"] for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]]
    assert len(ids) == len(set(ids))


@needs_promtool
def test_prometheus_takes_the_rules_and_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    promtool("check", "rules", RULES)
    recorded = [{"record": f"tried:{number}", "expr": text} for number, text in enumerate(asked())]
    (tmp_path / "tried.yml").write_text(json.dumps({"groups": [{"name": "tried", "rules": recorded}]}))
    promtool("check", "rules", tmp_path / "tried.yml")


@needs_promtool
@pytest.mark.parametrize("state", STATES)
def test_the_rules_tell_what_is_wrong_with_a_line_and_nothing_of_one_in_order(state: str, tmp_path: Path) -> None:
    now = STATES[state][1]()
    now["findings_total"] = [{**each, "source": each["source"] or "", "count": 1} for each in now["findings"]["recent"]]
    for each in now["uplinks"]:
        each.setdefault("resends", 0)
    expected = TOLD[state]
    assert bool(expected) == (STATES[state][0] != "good")
    fires(now, expected, tmp_path)


def fires(now: dict[str, Any], expected: set[str], tmp_path: Path) -> None:
    """Assert that exactly these rules fire for a line that has been so for two hours."""
    firing = 'group by (alertname) (ALERTS{alertstate="firing"})'
    told = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    test = {
        "interval": "30s",
        "input_series": series(now),
        "promql_expr_test": [{"expr": firing, "eval_time": "100m", "exp_samples": told}],
    }
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [test]}))
    promtool("test", "rules", tmp_path / "test.yml")


@needs_promtool
@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("EbrGatewayNotApproved", {"configuration": {"version": 5, "state": "emergency"}}),
        ("EbrGatewayPartFailed", {"broken": {"page": "crashed: ..."}}),
        ("EbrGatewayEntriesRejected", {"uplinks": [uplink(rejected=2, resends=0)]}),
        ("EbrGatewayUplinkLate", {"uplinks": [uplink(entries=9, oldest_s=3_700.0, resends=0)]}),
        ("EbrGatewaySourceClockOff", {"sources": [source(clock={"offset_s": -75.0})]}),
    ],
)
def test_each_of_these_alone_is_told_by_its_rule(rule: str, change: dict[str, Any], tmp_path: Path) -> None:
    now = snapshot() | {"findings_total": []} | change
    fires(now, {rule}, tmp_path)


@needs_promtool
def test_a_gateway_that_gives_no_metrics_for_a_minute_is_away_until_it_gives_them_again(tmp_path: Path) -> None:
    """Two of them: the one that answers is not told of, nor are targets of another job."""
    up = [("ebr-gateway", "pc-1", "1x10 0x10 1x10"), ("ebr-gateway", "pc-2", "1x40"), ("other", "pc-1", "0x40")]
    firing = 'ALERTS{alertname="EbrGatewayAway",alertstate="firing"}'
    labels = f'{firing[:-1]},instance="pc-1",job="ebr-gateway",severity="critical"}}'
    told: dict[str, list[dict[str, Any]]] = {"4m": [], "5m30s": [], "8m": [{"labels": labels, "value": 1}], "12m": []}
    test = {
        "interval": "30s",
        "input_series": [{"series": f'up{{job="{job}",instance="{pc}"}}', "values": values} for job, pc, values in up],
        "promql_expr_test": [{"expr": firing, "eval_time": at, "exp_samples": samples} for at, samples in told.items()],
    }
    (tmp_path / "test.yml").write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [test]}))
    promtool("test", "rules", tmp_path / "test.yml")
