"""What a checkout holds: sources, no packages and nothing that somebody downloaded."""

import subprocess

from kit.repository import ROOT

LARGEST_BYTES = 1024 * 1024  # the fonts of a document are the largest, with 0.7 MiB


def test_no_file_is_larger_than_a_source_is() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    large = [str(file.relative_to(ROOT)) for file in files if file.is_file() and file.stat().st_size > LARGEST_BYTES]
    assert files, "no checkout"
    assert not large, "a package, a dump or a picture that nobody made smaller"
