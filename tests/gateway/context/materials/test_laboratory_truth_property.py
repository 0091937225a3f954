"""Values that the laboratory gives, against all that it has said: late, replaced, withdrawn, open; nothing of it leaves the record."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from kit.lab_story import BY_EBR, Story, played, truth

SEEDS = int(os.environ.get("TRUTH_SEEDS", "100"))
SOME = 40


def faults_of(story: Story) -> tuple[list[Any], Counter[str]]:
    """List what the record says and is not so; and count the statuses."""
    plant, wrong, counted = story.plant, list[Any](), Counter[str]()
    record, end = plant.ended("DRY"), plant.of("batch", transition="end")[-1]
    told = {p["parameter"]: p for p in record["parameters"]}
    missing = [item["parameter"] for item in end["completeness"]["missing"]]
    for row in story.rows:
        said = tuple(told[row.parameter][name] for name in ("status", "value", "result"))
        counted[said[0]] += 1
        if said != truth(row, story.samples):
            wrong.append((row, said, "is", truth(row, story.samples)))
        if (row.parameter in missing) != (said[0] != "present"):
            wrong.append((row.parameter, said, "and the batch lacks", missing))
    if (end["status"] == "complete") != (not missing):
        wrong.append((end["status"], missing))
    opened = [[item["parameter"] for item in each["completeness"].get("open", [])] for each in (record, end)]
    if opened != [[BY_EBR.parameter]] * 2 or told[BY_EBR.parameter]["status"] != "by-ebr":
        wrong.append(("open", opened))
    return [*wrong, *_forgotten(story, end)], counted


def _forgotten(story: Story, end: dict[str, Any]) -> list[Any]:
    """List what the laboratory once said and the record does not show any more, and revisions without their reason."""
    wrong = list[Any]()
    listed = {item["sample"]: item.get("replaced", 0) for item in end["samples"]}
    reasons = {e["reason"] for e in story.plant.of("batch", transition="end")}
    for told in story.samples:
        sample = story.plant.of("sample", sample=told.name)[-1]
        shown = {r["key"]: [*(f["values"].get("lod") for f in r.get("replaced", [])), r["values"].get("lod")] for r in sample["results"]}
        if shown != told.said:
            wrong.append((told.name, "shows", shown, "was told", told.said))
        if listed[told.name] != told.replaced:
            wrong.append((told.name, "replaced", listed[told.name], "is", told.replaced))
        given = Counter(e["reason"] for e in story.plant.of("sample", sample=told.name))
        if given["result-replaced"] + given["result-withdrawn"] != told.replaced or given["result-withdrawn"] != told.withdrawn:
            wrong.append((told.name, given, told.said))
    if story.closed_first and reasons.isdisjoint({"result-replaced", "result-withdrawn"}):
        wrong.append(("replaced after the end", reasons))
    return wrong


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("block", range(4))
def test_a_value_of_the_laboratory_is_its_newest_word_and_all_of_its_words_stay(block: int) -> None:
    for seed in range(block, SOME, 4):
        assert (seed, faults_of(played(seed))[0]) == (seed, [])


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
@pytest.mark.timeout(3_600)
def test_a_value_of_the_laboratory_over_many_seeds(figures: Callable[[str, str], None]) -> None:
    wrong, counted = list[Any](), Counter[str]()
    for seed in range(SEEDS):
        found, statuses = faults_of(played(seed))
        wrong += [(seed, fault) for fault in found]
        counted += statuses
    figures("LABORATORY", f"{SEEDS} seeds, {dict(counted)}: {len(wrong)} statements that are not so")
    assert wrong == []
    assert min(counted[status] for status in ("present", "missing", "bad")) > SEEDS / 50
