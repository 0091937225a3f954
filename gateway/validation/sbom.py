"""The list of what a release consists of: CycloneDX 1.6 (ECMA-424), from a lock file and the licences that NOTICE names. Pure."""

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_PACKAGE = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE = re.compile(r"(?m)^([a-z0-9.-]+) {2,}(\S.*)$")
_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122, appendix C: names that are URLs


class Package(NamedTuple):
    """A library of a lock file. hashes: SHA-256 of each of its archives. licence: SPDX expression; None: not named."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str | None


def packages(lock: str, notice: str) -> list[Package]:
    """Read the libraries of a lock file with their licences, in order of names."""
    licences = dict(_LICENCE.findall(notice))
    found = [Package(name, version, tuple(_HASH.findall(rest)), licences.get(name)) for name, version, rest in _PACKAGE.findall(lock)]
    return sorted(found)


def sbom(version: str, found: list[Package], made: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return the list as JSON. made: RFC 3339 time. files: SHA-256 by name, of what is delivered itself."""
    own = f"pkg:pypi/ebr-gateway@{version}"
    serial = uuid.uuid5(_SPACE, f"{own}/{'/'.join(sorted(files.values()))}/{made}")
    component = {"type": "application", "bom-ref": own, "name": "ebr-gateway", "version": version, "purl": own}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "component": {**component, "licenses": [{"license": {"name": "proprietary, see LICENSE"}}]},
        },
        "components": [*map(_component, found), *(_file(name, digest) for name, digest in sorted(files.items()))],
        "dependencies": [{"ref": own, "dependsOn": [_purl(each) for each in found]}, *({"ref": _purl(each)} for each in found)],
    }


def licence_rows(found: list[Package]) -> Iterator[tuple[str, str, str]]:
    """Yield (name, version, licence) of each library, for a table."""
    yield from ((each.name, each.version, each.licence or "not named") for each in found)


def _component(package: Package) -> dict[str, Any]:
    purl = _purl(package)
    told: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl}
    if package.licence is not None:
        told["licenses"] = [{"expression": package.licence}]
    # An archive for each platform: which one a plant got is told by its own pip; one hash would name a single one of them.
    told["properties"] = [{"name": "ebr-gateway:archive-sha256", "value": digest} for digest in package.hashes]
    return told


def _file(name: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}


def _purl(package: Package) -> str:
    return f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"
