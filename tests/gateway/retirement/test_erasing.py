"""What an erasure does to a file, and which files are found to be erased."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.drop_line import drop_line

import config
from gateway.retirement import erasable, erasing, secrets
from gateway.retirement.erasing import NotErased, erased

SECRET = "kettle-of-the-ebr-417"
UPLINK = '[[uplink]]\nname = "ebr"\nkind = "https"\nendpoint = "https://ebr.example"\nuser = "gw"\npassword = { credential = "ebr" }\n'


@pytest.mark.urs("URS-OPS-07")
def test_a_file_is_overwritten_where_it_lies_before_its_name_goes(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET * 5_000)
    file.chmod(0o400)
    with file.open("rb") as held:
        told = erased(file)
        assert (file.exists(), held.read()) == (False, b"\0" * len(SECRET) * 5_000)
    assert (told["erased"], told["bytes"]) == (True, len(SECRET) * 5_000)
    assert "overwritten with zeros and made durable, then unlinked, on " in told["how"]
    assert "gone already" in erased(file)["how"], "a run that was cut had removed it"


@pytest.mark.urs("URS-OPS-07")
def test_what_can_not_be_erased_is_said_and_stays(tmp_path: Path) -> None:
    folder, file, other = tmp_path / "folder", tmp_path / "secret", tmp_path / "of-another-line"
    folder.mkdir()
    with pytest.raises(NotErased, match="folder: is no regular file"):
        erased(folder)
    file.write_text(SECRET)
    other.hardlink_to(file)
    with pytest.raises(
        NotErased, match=r"secret: has 2 names \(hard links\), and whoever uses another one would lose it: unlink the others"
    ):
        erased(file)
    assert (folder.is_dir(), file.read_text(), other.read_text()) == (True, SECRET, SECRET)


@pytest.mark.urs("URS-OPS-07")
def test_a_name_that_was_linked_since_it_was_looked_at_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "secret", tmp_path / "of-another-line"
    file.write_text(SECRET)

    def looked_and_linked(path: Path) -> str:
        told = erasable.obstacle(path)
        other.hardlink_to(path)
        return told

    monkeypatch.setattr(erasing, "obstacle", looked_and_linked)
    with pytest.raises(NotErased, match="secret: has 2 names"):
        erased(file)
    assert other.read_text() == SECRET


@pytest.mark.urs("URS-OPS-07")
def test_a_folder_of_credentials_as_kubernetes_lays_it_out_goes_whole(tmp_path: Path) -> None:
    """Each name is a link over a link to a folder: the file goes once, and then each link alone, in whichever order they come."""
    line = drop_line(tmp_path / "line", UPLINK)
    (real := line / "credentials" / "..2026_11").mkdir(parents=True)
    (real / "plc").write_text(SECRET)
    (real / "ebr").write_text(SECRET)
    (line / "credentials" / "..data").symlink_to("..2026_11")
    for name in ("plc", "ebr"):
        (line / "credentials" / name).symlink_to(f"..data/{name}")
    (line / "credentials" / "dangling").symlink_to("nothing")
    found, _ = secrets.found(read_line(line))
    assert {(one.path.name, one.kept_elsewhere) for one in found} == {(name, "") for name in ("plc", "ebr", "..data", "dangling")}
    early = [one.path.relative_to(line / "credentials").as_posix() for one in found if not one.to_the_end]
    assert early == ["..2026_11/plc", "dangling", "plc"], "the link over which the uplink reads its password is needed to the end"
    for one in found:
        assert erased(one.path)["erased"]
    assert [path for path in (line / "credentials").rglob("*") if not path.is_dir()] == []


@pytest.mark.urs("URS-OPS-07")
def test_a_link_out_of_the_line_that_leads_to_no_file_is_in_the_way(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    (line / "credentials").mkdir()
    (tmp_path / "plant").mkdir()
    (line / "credentials" / "gone").symlink_to(tmp_path / "not-mounted" / "ebr")
    (line / "credentials" / "all").symlink_to(tmp_path / "plant")
    found, _ = secrets.found(read_line(line))
    told = {one.path.name: one.kept_elsewhere for one in found}
    assert "which is nothing that is there now: erase what it leads to where it lies" in told["gone"]
    assert "which is a folder: erase what it leads to where it lies" in told["all"]


@pytest.mark.urs("URS-OPS-07")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to set what keeps even root from writing")
def test_a_plan_says_of_each_file_whether_it_can_be_erased(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    for name in ("shared", "fixed", "grown", "closed/inner", "fine"):
        (line / "credentials" / name).parent.mkdir(parents=True, exist_ok=True)
        (line / "credentials" / name).write_text(SECRET)
    (tmp_path / "elsewhere").hardlink_to(line / "credentials" / "shared")
    with fixed(line / "credentials" / "fixed"), fixed(line / "credentials" / "grown", "a"), fixed(line / "credentials" / "closed"):
        told = {one.path.name: one.kept_elsewhere for one in secrets.found(read_line(line))[0]}
        for name in ("fixed", "grown", "closed/inner"):
            with pytest.raises(NotErased, match="chattr -i -a"):
                erased(line / "credentials" / name)
            assert (line / "credentials" / name).read_text() == SECRET
    assert "has 2 names (hard links)" in told["shared"]
    assert told["fixed"] == told["grown"] == "is immutable or can only be appended to: chattr -i -a"
    assert told["inner"] == f"lies in {line / 'credentials' / 'closed'}, which is immutable or only grows: chattr -i -a"
    assert told["fine"] == ""


@pytest.mark.urs("URS-OPS-07")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become an ordinary account")
def test_an_account_that_owns_nothing_of_it_is_told_so(tmp_path: Path) -> None:
    place = Path(tempfile.mkdtemp(dir="/var/tmp"))  # pytest's own folder is closed to other accounts
    try:
        place.chmod(0o777)
        (place / "secret").write_text(SECRET)
        (place / "closed").mkdir()
        (place / "closed" / "inner").touch(mode=0o666)
        (place / "closed" / "inner").chmod(0o666)
        assert "can not be written: give the command as the account that owns it" in as_nobody(place / "secret")
        assert f"lies in {place / 'closed'}, of which this account can remove nothing" in as_nobody(place / "closed" / "inner")
    finally:
        shutil.rmtree(place)


def as_nobody(path: Path) -> str:
    """What an account that owns nothing is told of a file."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(65_534)
        os.setuid(65_534)
        os.write(writing, erasable.obstacle(path).encode())
        os._exit(0)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with os.fdopen(reading, "rb") as told:
        return told.read().decode()


@contextmanager
def fixed(path: Path, flag: str = "i") -> Iterator[None]:
    """A file or folder that not even root writes to."""
    if subprocess.run(["chattr", f"+{flag}", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system keeps no such flag")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{flag}", path], check=True)


def read_line(folder: Path) -> config.Line:
    read, problems = config.read(folder)
    assert read is not None, problems
    return read


@pytest.mark.urs("URS-OPS-07")
def test_a_link_and_what_it_points_to_go_both(tmp_path: Path) -> None:
    file, link = tmp_path / "secret", tmp_path / "link"
    file.write_text(SECRET)
    link.symlink_to(file)
    erased(link)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.urs("URS-OPS-07")
def test_what_lies_outside_of_the_line_is_left_to_who_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = 'tls = { ca = "ca.crt", cert = "own.crt", key = "../shared/own.key" }\n'
    line = drop_line(tmp_path / "line", UPLINK + tls)
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
