"""What an erasure does to a file, and which files are found to be erased."""

from pathlib import Path

import pytest
from kit.drop_line import drop_line

import config
from gateway.retirement import secrets
from gateway.retirement.erasing import NotErased, erased

SECRET = "kettle-of-the-ebr-417"


@pytest.mark.urs("URS-OPS-07")
def test_a_file_is_overwritten_where_it_lies_before_its_name_goes(tmp_path: Path) -> None:
    file, other = tmp_path / "secret", tmp_path / "other-name"
    file.write_text(SECRET * 5_000)
    file.chmod(0o400)
    other.hardlink_to(file)
    told = erased(file)
    assert (file.exists(), other.read_bytes()) == (False, b"\0" * len(SECRET) * 5_000)
    assert (told["erased"], told["bytes"]) == (True, len(SECRET) * 5_000)
    assert "overwritten with zeros and made durable, then unlinked, on " in told["how"]
    assert "1 other names of it hold zeros now" in told["how"]
    assert "gone already" in erased(file)["how"], "a run that was cut had removed it"


@pytest.mark.urs("URS-OPS-07")
def test_what_can_not_be_erased_is_said_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir()
    with pytest.raises(NotErased, match="secret: is no regular file: erase it as the account that owns it, or as root"):
        erased(folder)
    assert folder.is_dir()


@pytest.mark.urs("URS-OPS-07")
def test_a_link_and_what_it_points_to_go_both(tmp_path: Path) -> None:
    file, link = tmp_path / "secret", tmp_path / "link"
    file.write_text(SECRET)
    link.symlink_to(file)
    erased(link)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.urs("URS-OPS-07")
def test_what_lies_outside_of_the_line_is_left_to_who_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = '[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "https://ebr.example"\nuser = "gw"\npassword = { credential = "ebr" }\n'
    tls = 'tls = { ca = "ca.crt", cert = "own.crt", key = "../shared/own.key" }\n'
    line = drop_line(tmp_path / "line", more + tls)
    for place in ("shared/own.key", "plant/ebr", "plant/of-another-line", "line/credentials/ebr", "line/data/checkpoint-key"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(SECRET)
    monkeypatch.setenv("EBR_GATEWAY_CREDENTIALS", str(tmp_path / "plant"))
    read, problems = config.read(line)
    assert read is not None, problems
    found, missing = secrets.found(read)
    assert missing == []
    assert [(one.path.relative_to(tmp_path).as_posix(), bool(one.kept_elsewhere)) for one in found] == [
        ("plant/ebr", True),
        ("line/credentials/ebr", False),
        ("shared/own.key", True),
        ("line/data/checkpoint-key", False),
    ]
    named, _ = secrets.found(read, (tmp_path / "plant" / "ebr",))
    assert [one.path.name for one in named if one.kept_elsewhere] == ["own.key"]
    (tmp_path / "plant" / "ebr").unlink()
    (line / "credentials" / "ebr").unlink()
    _, missing = secrets.found(read)
    assert [(one.name, one.what) for one in missing] == [("ebr", "uplink ebr")]
