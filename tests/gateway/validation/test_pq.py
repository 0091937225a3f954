"""What a performance qualification says of a run without limits, of one that was interrupted, of a slow device; and what it counts."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kit.commands import called
from kit.drop_line import drop_line
from kit.journals import READINGS, event, opened

import config
from buffer import Body
from config import ConfigError, Line
from gateway.demo.compare import Counts, compare
from gateway.demo.received import Received
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import from_rfc3339
from gateway.validation import pq, pq_cases
from gateway.validation import run as runs
from gateway.validation.bundle import RUNNING, Bundle, problems
from gateway.validation.pq_cases import Asked, Run
from gateway.validation.pq_judge import Judge
from gateway.validation.pq_limits import KEYS, Limits, read
from gateway.validation.pq_profile import NoProfile, Profile, from_journal, from_map
from gateway.validation.pq_stage import Stage
from gateway.validation.pq_watch import Delays, Reached, Sample, cpu_cores, growth, memory_slope
from gateway.validation.steps import Told
from simulators.device import Truth as Log
from simulators.line.drive import Process
from simulators.line.load import Load, driven, movable
from simulators.line.ranges import fitted
from simulators.line.signals import moment

LINE = """
[line]
site = "lyon"
name = "pq"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
namespaces = { plc = "urn:example:plc" }
time_authority = "device"
rate_ms = 200
[[source]]
name = "meter"
driver = "modbus"
endpoint = "tcp://127.0.0.1:502"
byte_order = "ABCD"
rate_ms = 500
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "https://ebr.example"
"""
TAGS = """tag,source,address,type,unit,scale,offset,eu_low,eu_high,deadband,rate_ms
plc.speed,plc,plc:s=Speed,float64,/min,,,0,500,,
plc.power,plc,plc:s=Power,float32,kW,,,0,45,1%,1000
plc.on,plc,plc:s=On,bool,,,,,,,
meter.temp,meter,1/holding/0:int16,int16,Cel,0.1,0,0,100,,
meter.name,meter,1/holding/10:string8,string,,,,,,,
"""
T0 = from_rfc3339("2026-11-22T07:00:00Z")
S = 10_000_000


@pytest.fixture
def site(tmp_path: Path) -> Line:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "line.toml").write_text(LINE)
    (folder / "tags.csv").write_text(TAGS)
    return config.load(folder)


def asked(site: Line, **limits: float) -> Asked:
    of = Limits(limits, "pq.toml", "00" * 32, "2026-11-01T00:00:00Z", b"[limits]\n") if limits else Limits({})
    return Asked(20.0, (1.0, 2.0), 5.0, of, from_map(site), None, lambda _: None)


async def good(asked: Asked, results: pq_cases.Results, *rest: Any) -> None:
    rest[-2].step("one", "x", "x", True)


async def interrupted(asked: Asked, results: pq_cases.Results, *rest: Any) -> None:
    rest[-2].step("one", "x", "x", True)
    raise KeyboardInterrupt


def played(monkeypatch: pytest.MonkeyPatch, site: Line, to: Path, *, second: Any = good, **limits: float) -> dict[str, Any]:
    for name in ("load", "drill"):
        monkeypatch.setattr(pq_cases, name, good)
    monkeypatch.setattr(pq_cases, "outage", second)
    return pq.qualified(site, Bundle(to), asked(site, **limits), runs.Run(tester="ebauer", witness="jdurand"))


@pytest.mark.urs("URS-VAL-05")
def test_without_limits_that_were_set_before_the_run_nothing_is_passed(monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path) -> None:
    monkeypatch.setattr(pq, "NOT_EXECUTED", ())
    without = played(monkeypatch, site, tmp_path / "a")
    assert (without["result"], [one["case"] for one in without["facts"]["deviations"]]) == ("not-complete", ["limits"])
    assert (without["facts"]["tester"], without["facts"]["witness"]) == ("ebauer", "jdurand")
    told = played(monkeypatch, site, tmp_path / "b", stored_p99_s=1)
    assert (told["result"], told["facts"]["limits"]["values"]) == ("passed", {"stored_p99_s": "1"})
    assert told["facts"]["evidence"].keys() >= {"evidence/pq.toml", "evidence/profile.json", "evidence/cases.json"}


@pytest.mark.urs("URS-VAL-05", "URS-VAL-07")
def test_an_interrupted_run_says_so_and_is_not_passed(monkeypatch: pytest.MonkeyPatch, site: Line, tmp_path: Path) -> None:
    monkeypatch.setattr(pq, "NOT_EXECUTED", ())
    told = played(monkeypatch, site, tmp_path / "pq", second=interrupted, stored_p99_s=1)
    verdicts = {one["id"]: one["verdict"] for one in told["facts"]["cases"]}
    assert (verdicts, told["result"]) == ({"PQ-01": "passed", "PQ-02": "passed", "PQ-03": "not checked"}, "not-complete")
    assert told["facts"]["cases"][-1]["why"].startswith("it was interrupted at ")
    assert [(one["id"], one["reason"]) for one in told["facts"]["not_executed"]] == [("PQ-04", "the run was interrupted")]
    assert not (tmp_path / "pq" / RUNNING).exists()
    assert problems(tmp_path / "pq", told) == []


@pytest.mark.urs("URS-VAL-05")
def test_a_run_that_a_power_cut_ended_is_shown_as_not_passed(tmp_path: Path) -> None:
    Bundle(tmp_path / "pq")
    (tmp_path / "pq" / RUNNING).write_text(json.dumps({"begun": "2026-11-28T06:00:00Z"}))
    told = called("qualify", "show", tmp_path / "pq")
    assert (told.returncode, told.stdout) == (1, "")
    assert "began at 2026-11-28T06:00:00Z came to no end" in told.stderr


def test_the_limits_are_read_or_each_fault_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "pq.toml"
    path.write_text("[limits]\n" + "".join(f"{name} = 0.5\n" for name in KEYS))
    limits = read(path)
    assert (set(limits.values), limits.reached, limits.file) == (set(KEYS), 0.5, "pq.toml")
    path.write_text('[limits]\nreached = 1.5\nlost = 3\ncpu_cores = "much"\n[more]\n')
    with pytest.raises(ConfigError) as found:
        read(path)
    assert {str(one).split(":")[1] for one in found.value.problems} == {"2", "3", "4", "5"}
    told = called(
        "qualify", "pq", drop_line(tmp_path / "line", LINE[LINE.index("[[uplink]]") :]), "--to", tmp_path / "to", "--limits", path
    )
    assert (told.returncode, "pq.toml:3: unknown limit `lost`" in told.stderr) == (2, True)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--factor", "1,x"), "--factor 1,x"),
        (("--outage", "soon"), "--outage soon"),
        (("--from-journal", "2026-11-01"), "--from-journal 2026-11-01"),
        (("--from-journal", "2026-11-02..2026-11-01"), "ends before it begins"),
        (("--from-journal", "2026-11-01..2026-11-02"), "no journal is here"),
    ],
)
def test_what_is_not_understood_is_refused_before_anything_runs(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    line = drop_line(tmp_path / "line", LINE[LINE.index("[[uplink]]") :])
    told = called("qualify", "pq", line, "--to", tmp_path / "to", *words)
    assert (told.returncode, says in told.stderr) == (2, True), told.stderr
    assert not (tmp_path / "to").exists()


def test_the_profile_of_a_map_is_the_most_that_it_lets_come(site: Line) -> None:
    profile = from_map(site)
    assert profile.rates == {"plc.speed": 5.0, "plc.power": 1.0, "meter.temp": 2.0}
    assert profile.of(site, "plc") == 6.0
    assert profile.sources["meter"]["target"] == "2.00"


def test_the_profile_of_a_journal_is_that_of_its_busiest_minute(site: Line, tmp_path: Path) -> None:
    journal = opened(site.data, site.gateway)
    journal.append(
        [event({"type": "tagset", "tagset": "t", "first": 0, "tags": [{"tag": tag.tag} for tag in site.tags_of("plc")]})]
    ).result()
    for second in (0, 1, 2, 3, 60, 61, 62, 63, 64, 65, 66, 67, 120):
        minute, of = divmod(second, 60)
        head = f'"time":"2026-11-22T07:{minute:02}:{of:02}Z","tagset":"t","columns":["tag","value"],"constant":{{"kind":"change"}}'
        journal.append([Body(READINGS, f'{head},"readings":[[0,1],[0,2],[2,true]]}}'.encode())]).result()
    journal.close()
    day = [datetime(2026, 11, at, tzinfo=UTC) for at in (22, 23)]
    profile = from_journal(site, site.data, day[0], day[1])
    assert profile.rates == pytest.approx({"plc.speed": 16 / 60, "plc.on": 8 / 60}, rel=0.1)
    assert "39 changes of 2 tags, 0.3 each second on the mean, 0.4 in the busiest minute" in profile.basis
    with pytest.raises(NoProfile):
        from_journal(site, site.data, day[1], day[1].replace(day=24))


def entry(seq: int, *values: tuple[float, float], source: str = "plc", tagset: str = "t") -> bytes:
    """Readings of the first tag: (seconds after T0, value)."""
    rows = [[0, value, int(at * S), int(at * S) + 1000] for at, value in values]
    told = {"epoch": 1, "seq": seq, "source": source, "tagset": tagset, "time_base": "2026-11-22T07:00:00Z", "readings": rows}
    columns = ["tag", "value", "source_ticks", "received_ticks"]
    return json.dumps({**told, "columns": columns, "constant": {"status": 0, "kind": "change"}}).encode()


def table(site: Line) -> bytes:
    tags = [{"tag": tag.tag} for tag in site.tags_of("plc")]
    return json.dumps({"epoch": 1, "seq": 1, "event": {"type": "tagset", "tagset": "t", "first": 0, "tags": tags}}).encode()


def made(*values: tuple[float, float]) -> dict[str, Truth]:
    return {"plc": Truth(made={"plc.speed": [Item(T0 + int(at * S), value, 0) for at, value in values]})}


@pytest.mark.urs("URS-VAL-05")
def test_what_is_lost_doubled_or_made_up_is_counted_over_the_ends_of_slices(site: Line) -> None:
    judge = Judge(site, ["plc.speed"])
    judge.take(made((1, 10.0), (2, 11.0), (3, 12.0), (4, 13.0)), [table(site), entry(2, (1, 10.0), (3, 12.0))])
    # 13.0 comes after the slice's end, 12.0 comes again, 99.0 nobody made, and 11.0 never comes
    judge.take(made((5, 14.0)), [entry(3, (4, 13.0), (3, 12.0), (5, 14.0), (5.5, 99.0))])
    judge.take(made((6, 15.0)), [entry(4, (6, 15.0))])
    counts = judge.ended()["plc"]
    assert (counts.read, counts.received, counts.lost, counts.doubled, counts.foreign) == (6, 5, 1, 1, 1)
    assert (judge.offered["plc"], judge.received.values) == (6, 7)


@pytest.mark.urs("URS-VAL-05")
def test_slices_count_as_the_whole_does(site: Line) -> None:
    values = [(0.2 * n, float(n % 7 * 10 + n)) for n in range(200)]
    missing = {17, 60, 61, 120}
    payloads = [table(site), *(entry(2 + n, one) for n, one in enumerate(values) if n not in missing)]
    whole = compare(site, made(*values), Received().feed(payloads))["plc"]
    judge = Judge(site, ["plc.speed"])
    for begin in range(0, 200, 30):
        truth, part = made(*values[begin : begin + 30]), [one for one in payloads if begin + 2 <= json.loads(one)["seq"] < begin + 32]
        judge.take(truth, [payloads[0], *part] if begin == 0 else part)
    sliced = judge.ended()["plc"]
    assert (sliced.read, sliced.received, sliced.lost) == (whole.read, whole.received, whole.lost) == (200, 196, 4)


class Still(Stage):
    """A stage of which only the line and the names are asked."""

    def __init__(self, site: Line) -> None:
        self.line, self.served, self.went_s = site, frozenset(("plc", "meter")), 0.0


def run_of(site: Line, offered: int, **limits: float) -> tuple[Run, Told]:
    run = Run(asked(site, **limits), Still(site), 2.0)
    run.stage.went_s = 100.0
    run.judge.offered["plc"], run.judge.answered["meter"] = offered, 400
    for counts in run.judge.counts.values():
        counts.add(Counts(read=10, received=10))
    return run, Told()


@pytest.mark.urs("URS-VAL-05")
def test_a_device_that_did_not_reach_the_rate_proves_nothing(site: Line) -> None:
    for offered, verdict in ((1200, "passed"), (1130, "not checked"), (0, "not checked")):
        run, told = run_of(site, offered, cpu_cores=0.5)
        run.rates(told)
        run.compared(told)
        found = {step.action: step.verdict for step in told.steps}
        assert found["move the tags of plc at 12.0 changes a second"] == verdict
        assert found["compare plc with its own log"] == verdict
        assert found["compare meter with its own log"] == "passed"
    assert "0.0 a second, 0.0%" in told.steps[1].actual
    run, told = run_of(site, 0)
    run.judge.counts["plc"].add(Counts(lost=1))
    run.compared(told)
    assert told.steps[0].verdict == "failed", "what is lost is lost at any rate"


@pytest.mark.urs("URS-VAL-05")
def test_a_figure_has_a_verdict_only_by_a_limit_and_at_the_load_asked_for(site: Line) -> None:
    def verdict(offered: int, found: float | None, *, most: bool = True, **limits: float) -> str:
        run, told = run_of(site, offered, **limits)
        run._against(told, "cpu_cores", "measure", found, "cores", most=most)
        return told.steps[0].verdict

    assert verdict(1200, 0.4) == verdict(1200, None, cpu_cores=0.5) == verdict(100, 0.4, cpu_cores=0.5) == "not checked"
    assert (verdict(1200, 0.4, cpu_cores=0.5), verdict(1200, 0.6, cpu_cores=0.5)) == ("passed", "failed")
    assert (verdict(1200, 0.4, most=False, cpu_cores=0.5), verdict(100, 0.6, cpu_cores=0.5)) == ("failed", "failed")


def test_delays_are_told_from_the_looks_that_saw_their_end() -> None:
    reached = Reached()
    for seq, ticks in ((5, 100), (5, 200), (9, 300)):
        reached.saw((1, seq), ticks)
    assert [reached.when((1, seq)) for seq in (1, 5, 6, 9, 10)] == [100, 100, 300, 300, None]
    delays = Delays()
    delays.add([*range(1, 101), -3])
    assert (delays.percentile(50), delays.percentile(99), Delays().percentile(50)) == (0.05, 0.099, None)


def test_growth_is_told_from_full_segments_and_memory_after_it_has_settled() -> None:
    samples = [Sample(at * S * 60, at * 6.0, 100_000 * (10 if at < 20 else at), at * 1000 + at % 7 * 90, at // 7, 0) for at in range(100)]
    assert growth(samples) == pytest.approx(1000 * 1440)
    assert growth(samples[:10]) is None
    assert memory_slope(samples) == pytest.approx(6_000_000)
    assert cpu_cores(samples) == pytest.approx(0.1)
    assert (cpu_cores(samples[:1]), memory_slope(samples[:2])) == (None, None)


class Fake:
    """A device of which only what was set counts."""

    sets: ClassVar[Counter[str]] = Counter()


def changes(line: Line, load: Load, seconds: float) -> Iterator[tuple[str, Any]]:
    """Run the plant's clock for so many of its seconds, tick by tick; yield each change."""
    process = Process(line, {"plc": Fake(), "meter": Fake()}, 1, 30.0, load=load)  # type: ignore[dict-item]
    before_s, started = -process._tick_s, datetime.now(UTC)
    for tick in range(round(seconds / process._tick_s) + 1):
        now = moment(process._plan, line, tick * process._tick_s, started)
        for tags in process._tags.values():
            yield from process._changed(tags, now, before_s).items()
        before_s = now.at_s


@pytest.mark.urs("URS-VAL-06")
def test_devices_make_as_many_changes_as_the_load_asks_for_and_each_can_be_seen(site: Line) -> None:
    rates, last = {**from_map(site).rates, "plc.on": 0.5}, dict[str, Any]()
    counted = Counter[str]()
    for name, value in changes(site, Load(1.0, rates), 60):
        if name in rates and name in last:
            counted[name] += 1
            least = {"plc.power": 0.45, "meter.temp": 0.1}.get(name, 0)
            assert abs(value - last[name]) >= least, f"{name}: {value} after {last[name]} is hidden by deadband or rounding"
            assert value != last[name]
        last[name] = value
    # a polled tag that changes with every poll is moved twice as often: every poll sees another value
    assert counted == {"plc.speed": 300, "plc.power": 60, "plc.on": 30, "meter.temp": 240}


def test_only_what_tells_nothing_of_the_process_is_moved_at_a_rate(tmp_path: Path) -> None:
    line = config.load(Path(config.__file__).parent / "examples" / "granulation-2")
    moved = movable(line)
    assert {"granulator.impeller_power", "dryer.outlet_temp"} & moved.keys()
    assert not {"granulator.step_no", "granulator.state", "granulator.hmi_user", "granulator.impeller_speed_sp"} & moved.keys()
    ready = driven(line, Load(1.0, dict.fromkeys(moved, 1.0)), {tag.tag: fitted(tag) for tag in line.tags})
    assert ready.keys() == moved.keys()


@pytest.mark.urs("URS-VAL-05")
def test_at_twice_the_rate_everything_is_read_twice_as_often(site: Line, tmp_path: Path) -> None:
    line = Stage(site, tmp_path / "stage", 1, 30.0, Load(2.0, {"plc.speed": 5.0})).line
    assert [source.rate_ms for source in line.sources] == [100, 250]
    assert {tag.tag: tag.rate_ms for tag in line.tags if tag.rate_ms} == {"plc.power": 500}
    assert (site.folder / "tags.csv").read_text() == TAGS
    assert json.loads((tmp_path / "stage" / "load.json").read_text()) == {"speed": 2.0, "rates": {"plc.speed": 5.0}}


def test_a_log_that_is_turned_loses_no_line(tmp_path: Path) -> None:
    log = Log(tmp_path / "plc.jsonl")
    for number in range(6):
        log.made("a", number, number)
        if number % 2:
            log.turn()
    log.close()
    lines = [json.loads(line)["t"] for n in (1, 2, 3) for line in (tmp_path / f"plc.{n}.jsonl").read_text().splitlines()]
    assert (lines, (tmp_path / "plc.jsonl").read_text()) == ([0, 1, 2, 3, 4, 5], "")


@pytest.mark.urs("URS-OPS-02")
def test_a_drill_without_a_backup_is_not_checked(site: Line) -> None:
    told = Told()
    asyncio.run(pq_cases.drill(asked(site), pq_cases.Results(), Still(site), told, 0))
    assert [step.verdict for step in told.steps] == ["not checked"]


def test_a_profile_without_moved_tags_asks_nothing_of_a_device(site: Line) -> None:
    run = Run(asked(site)._replace(profile=Profile({}, "nothing", {})), Still(site), 1.0)
    assert list(run._ratios()) == []
