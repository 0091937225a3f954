"""Secrets that the configuration which runs does not name any more, or not yet; and the names of archives."""

from dataclasses import replace
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line
from kit.persons import options, people

from gateway.retirement import archives, lines, looked, secrets
from gateway.runtime import choosing

PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n"
UPLINK = """
[[uplink]]
name = "{name}"
kind = "https"
endpoint = "https://ebr.example"
user = "gw"
password = {{ credential = "{name}" }}
tls = {{ ca = "ca.crt", cert = "{name}.crt", key = "{name}.key" }}
"""


@pytest.mark.urs("URS-OPS-07")
def test_two_batches_that_differ_by_capitals_alone_have_archives_of_their_own() -> None:
    names = archives.file_names(["B1", "b1", "B2", "a/b", "a_b"])
    assert names["B2"] == "B2.zip"
    assert len({name.lower() for name in names.values()}) == 5, names
    assert names == {**archives.file_names(["b1", "B1", "a_b", "a/b"]), "B2": "B2.zip"}, (
        "whatever their order, a run that goes on finds them"
    )


@pytest.mark.urs("URS-OPS-07")
def test_a_key_that_an_approved_version_or_the_newer_folder_names_is_erased_as_well(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    people(line / "data")
    for name in ("old", "now", "new", "nobodys"):
        (line / f"{name}.key").write_text(PEM)
    plain = (line / "line.toml").read_text()
    for number, name in ((1, "old"), (2, "now")):
        (line / "line.toml").write_text(plain + UPLINK.format(name=name))
        acts: dict[str, list[str]] = {
            "propose": ["--change-no", f"CC-{number}", "--reason", "the receiver is another", *options("engineer", tmp_path)],
            "approve": [str(number), "--meaning", "approved for production", *options("qa", tmp_path)],
            "activate": [str(number), *options("engineer", tmp_path)],
        }
        for act, words in acts.items():
            ran = called("config", act, line, *words)
            assert ran.returncode == 0, (act, ran.stdout + ran.stderr)
    (line / "line.toml").write_text(plain + UPLINK.format(name="new"))
    folder = choosing.chosen(line)
    (version,) = [one for what, one in lines.others(folder).lines if what == "version 2"]
    chosen = replace(folder, line=version)
    assert [one.name for one in chosen.line.uplinks] == ["now"]
    others = lines.others(chosen)
    found, missing = secrets.found(chosen.line, others=others.lines)
    assert {one.path.name: bool(one.kept_elsewhere) for one in found if one.path.suffix == ".key"} == {
        "now.key": False,
        "new.key": False,
        "old.key": False,
        "nobodys.key": True,
    }
    assert [(one.name, one.what) for one in missing] == [
        ("now", "uplink now"),
        ("new", "uplink new (the line folder)"),
        ("old", "uplink old (version 1)"),
    ]
    (line / "line.toml").write_text(plain + "[[uplink]]\n")
    told = lines.others(chosen)
    (why,) = [why for what, why in told.unread if what == "the line folder"]
    assert "line.toml" in why
    assert "new.key" in {one.path.name for one in secrets.found(chosen.line, others=told.lines)[0] if one.kept_elsewhere}
    assert [one.what for one in looked.kept([one for one in found if one.path.name == "nobodys.key"], [])] == [
        f"secret:{line / 'nobodys.key'}"
    ]
