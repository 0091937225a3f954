"""Who is named as having performed a step, a booking or a sample; and that nobody is where nobody can know it."""

import pytest
from kit.plant import RUNNING, Plant, begin, line_of

from config.grammars.terms import Term, term
from config.materials import Sampling

SYSTEM = [{"id": "system:lyon/granulation-2", "kind": "system", "from": None}]


def mixed(plant: Plant) -> tuple[object, object]:
    plant.see(20, g_step=0)
    plant.alive(21)
    record = plant.ended("MIX")
    return record["performed_by"], record.get("performed_by_reason")


@pytest.mark.urs("URS-CTX-10")
def test_a_source_that_was_observed_and_named_nobody_leaves_the_gateway_as_witness(plant: Plant) -> None:
    begin(plant)
    plant.see(8, g_user="")
    plant.see(10, g_step=20)
    assert mixed(plant) == (SYSTEM, None)


@pytest.mark.urs("URS-CTX-10")
def test_an_equipment_that_no_source_tells_the_operator_of_has_steps_of_nobody(plant: Plant) -> None:
    begin(plant)
    plant.order(6, "FBD-202", "B1", row_s=6)
    plant.see(10, d_step=1)
    plant.see(20, d_step=0)
    plant.alive(21)
    record = plant.ended("DRY")
    assert (record["performed_by"], record["performed_by_reason"]) == ([], "no source tells")


@pytest.mark.urs("URS-CTX-10")
def test_an_operator_that_was_never_read_is_not_observed(plant: Plant) -> None:
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_speed=0.0, g_speed_sp=250.0)
    plant.order(5, "GRN-201", "B1", row_s=4)
    plant.see(10, g_step=20)
    assert mixed(plant) == ([], "not observed")


@pytest.mark.urs("URS-CTX-10")
def test_whoever_stood_there_before_a_gap_is_not_named_for_what_begins_in_it(plant: Plant) -> None:
    begin(plant)
    gap = {"type": "gap", "gap": "g-plc/7", "source": "g-plc", "tags": ["g.user"], "start": "2026-11-22T06:13:28Z", "cause": "bad-node"}
    plant.happen(8, transition="open", detected=gap["start"], **gap)
    plant.see(10, g_step=20)
    assert mixed(plant) == ([], "not observed")


@pytest.mark.urs("URS-CTX-10")
def test_who_is_seen_during_the_step_is_named_though_nobody_was_at_its_start(plant: Plant) -> None:
    begin(plant)
    gap = {"type": "gap", "gap": "g-plc/7", "source": "g-plc", "tags": ["g.user"], "start": "2026-11-22T06:13:28Z", "cause": "bad-node"}
    plant.happen(8, transition="open", detected=gap["start"], **gap)
    plant.see(10, g_step=20)
    plant.see(15, g_user="mleroy")
    assert mixed(plant) == ([{"id": "mleroy", "kind": "person", "from": "g.user"}], None)


@pytest.mark.urs("URS-CTX-10")
@pytest.mark.parametrize(
    ("asked", "user", "told"),
    [
        (None, None, ([], "no source tells")),
        (term("row.taken_by"), None, (SYSTEM, None)),
        (term("row.taken_by"), "pduval", ([{"id": "pduval", "kind": "person", "from": "mes.samples.taken_by"}], None)),
        (term("=d.temp"), None, ([{"id": "20.0", "kind": "person", "from": "d.temp"}], None)),
    ],
)
def test_a_sample_says_the_same(asked: Term | None, user: str | None, told: tuple[object, object]) -> None:
    sampling = Sampling("lod", "dryer", "mes.samples", sample=term("row.sample_id"), performed_by=asked, occurs="0..n")
    plant = Plant(line_of(samples=(sampling,)))
    begin(plant)
    told_row = {"key": "1", "change": "new", "time": None, "text": None, "row": {"sample_id": "S-1", "taken_by": user}}
    plant.happen(10, type="message", source="mes", name="samples", rows=[told_row])
    plant.alive(12)
    plant.alive(60)
    (sample,) = plant.of("sample")
    assert (sample["performed_by"], sample.get("performed_by_reason")) == told
