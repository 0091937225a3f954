"""Browse paths: a server that gives its nodes other ids at each start, paths that lead nowhere or to two nodes."""

from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from config import Tag


def paths(path: Path, count: int = 30) -> Bench:
    bench = Bench(path, count=0)
    bench.tags = [Tag(tag=f"t{i}", source="plc", address=f"path=/plc:DB/plc:Loop {i % 3}/plc:T&/{i}", type="float64") for i in range(count)]
    return bench


@pytest.mark.bar("F19")
@pytest.mark.urs("URS-DAQ-01")
async def test_a_restart_that_renumbers_all_nodes_and_moves_the_namespace_changes_nothing(tmp_path: Path) -> None:
    async with paths(tmp_path) as bench:
        bench.plc.switches.limits = {"translate": 7}
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        for restart in range(2):
            await eventually(lambda known=restart: bench.disk.connections > known)
            await bench.make(5)
            await bench.caught_up()
            before = {tag: node.id for tag, (node, _, _) in bench.plc._of_tag.items()}
            await bench.plc.stop()
            bench.plc.extra_namespaces.append(f"urn:example:new-{restart}")
            await bench.plc.start()
            assert not set(before.values()) & {node.id for node, _, _ in bench.plc._of_tag.values()}, "every node has another id"
            await bench.make()
        await eventually(lambda: bench.disk.connections > 2)
        await bench.make(5)
        await bench.caught_up()
        assert (bench.wrong_values(), bench.doubled()) == (0, 0)
        assert set(bench.disk.codes()) == {"server-identity"}


async def test_a_path_that_leads_nowhere_or_to_two_nodes_is_a_gap_until_it_leads_to_one(tmp_path: Path) -> None:
    async with paths(tmp_path, 4) as bench:
        bench.plc.hidden = {"t1"}
        await bench.plc.stop()
        await bench.plc.start()
        (node, _, _) = bench.plc._of_tag["t2"]
        first = node.id
        bench.plc._place(node)  # a second node with the same browse names
        await bench.make(tags=["t0", "t2", "t3"])
        bench.run()
        await eventually(lambda: {1, 2} <= {tag for loss in bench.disk.losses for tag in loss.tags or ()})
        told = {finding.tags: finding.text for finding in bench.disk.findings if finding.code == "node-unusable"}
        assert "BadNoMatch" in told[(1,)]
        assert "BadTooManyMatches" in told[(2,)]
        assert {loss.cause for loss in bench.disk.losses} == {"not-subscribed"}
        await bench.make(3, tags=["t0", "t3"])
        await eventually(lambda: {0, 3} <= {reading[0] for reading in bench.disk.readings})
        assert not {1, 2} & {reading[0] for reading in bench.disk.readings}, "neither of two nodes is guessed"
        for references in bench.plc._server.iserver.aspace._nodes.values():
            references.references[:] = [one for one in references.references if one.NodeId != first]
        bench.plc.restore("t1")
        await bench.make(3, every_s=0.3)
        await bench.caught_up()
        assert bench.wrong_values() == 0
