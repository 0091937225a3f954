"""Finds what a line's retirement has to erase: credentials, private keys, the hashes of passwords. Places alone, never contents."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from config import Credential, Line, Model
from config.credentials import FOLDER_VARIABLE
from gateway.access.store import NAME as USERS
from gateway.evidence.keyring import KEY_NAME, key_place
from gateway.retirement import erasable
from gateway.retirement.places import CREDENTIALS, SIGNING_FILES, Places, has_private_key

SIGNING = "key that signs checkpoints and documents"


class Secret(NamedTuple):
    """A file that is to be erased. to_the_end: entries, checkpoints or the last signature need it, so it goes after all others.

    kept_elsewhere: why it is not erased unless a person names it; "" of one that is this line's alone.
    """

    path: Path
    what: str
    to_the_end: bool = False
    kept_elsewhere: str = ""


class Missing(NamedTuple):
    """A secret that line.toml names, and of which no file is found here."""

    name: str
    what: str


def found(
    line: Line,
    named: tuple[Path, ...] = (),
    kept: tuple[tuple[str, Path], ...] = (),
    others: tuple[tuple[str, Line], ...] = (),
) -> tuple[list[Secret], list[Missing]]:
    """Find the files, each once, in the order in which they are erased; and what is not found.

    named: by the person, wherever they lie. kept: folders of which nothing is erased, as of `places.read_later`. others: of `lines.others`.
    """
    secrets, missing = list[Secret](), list[Missing]()
    for of, each in (("", line), *((f" ({of})", one) for of, one in others)):
        for what, to_the_end, name in _credentials(each):
            there = _places(line.folder, name)
            lost = not there and not _is_named(name, named) and name not in {one.name for one in missing}
            missing += [Missing(name, what + of)] if lost else []
            secrets += [Secret(place, f"credential {name}: {what}{of}", to_the_end) for place in there]
        secrets += [Secret(path, f"private key: {what}{of}", to_the_end) for what, to_the_end, path in _key_files(each)]
    secrets += [Secret(path, "in the folder of credentials; line.toml does not name it") for path in _files(line.folder / CREDENTIALS)]
    secrets += [Secret(line.data / USERS, "users and the hashes of their passwords", to_the_end=True)]
    secrets += [Secret(place, SIGNING, to_the_end=True) for place in _signing(line.data)]
    secrets += [Secret(path, "named by the person who retires the line") for path in named]
    places = Places.of(line.folder, line.data, kept)
    planned = [_placed(one, places, named) for one in _each_once(secrets, key_place(line.data))]
    return [*_strays(places, {one.path.resolve() for one in planned}), *planned], missing


def _strays(of: Places, known: Collection[Path]) -> Iterator[Secret]:
    """Yield private keys in the line folder that nothing names: of a source or an uplink that was removed before there were versions."""
    for path in _files(of.line):
        apart = path in known or path.is_symlink() or path.is_relative_to(of.credentials) or path.is_relative_to(of.data)
        if not apart and has_private_key(path):
            told = "no version of line.toml names it: name it with --secret-file to have it erased"
            yield Secret(path, "private key", kept_elsewhere=told)


def rows(secrets: list[Secret], missing: list[Missing]) -> list[dict[str, Any]]:
    """Write down what is going to be done with each, for the state of the retirement."""
    lost = [{"path": one.name, "what": one.what, "to_the_end": False, **_fate("no file of it was found here")} for one in missing]
    return [
        *lost,
        *({"path": str(one.path), "what": one.what, "to_the_end": one.to_the_end, **_fate(one.kept_elsewhere)} for one in secrets),
    ]


def _fate(kept: str) -> dict[str, Any]:
    return {"erase": not kept, "erased": False, "how": f"not erased: {kept}" if kept else None, "at": None, "bytes": None}


def _credentials(line: Line) -> Iterator[tuple[str, bool, str]]:
    """Yield (purpose, whether it is needed to the end, name) of each secret that the folder names."""
    for what, to_the_end, told in _parts(line):
        yield from ((what, to_the_end, name) for name in dict.fromkeys(_named_in(told)))


def _parts(line: Line) -> Iterator[tuple[str, bool, Any]]:
    yield from ((f"source {one.name}", False, one.options) for one in line.sources)
    yield from ((f"notify {one.name}", False, one) for one in line.notify)
    yield from ((what, False, one) for what, one in (("push", line.push), ("page", line.web)) if one is not None)
    yield from ((f"uplink {one.name}", True, one) for one in line.uplinks)
    yield from ((f"witness {one.name}", True, one) for one in line.witnesses)


def _named_in(told: Any) -> Iterator[str]:
    """Yield the names of credentials anywhere below a table, as a model or as it was written."""
    if isinstance(told, Credential):
        yield told.credential
    elif isinstance(told, Mapping) and set(told) == {"credential"}:
        yield str(told["credential"])
    elif isinstance(told, Model):
        yield from (name for member in type(told).model_fields for name in _named_in(getattr(told, member)))
    elif isinstance(told, Mapping):
        yield from (name for value in told.values() for name in _named_in(value))
    elif isinstance(told, list | tuple):
        yield from (name for value in told for name in _named_in(value))


def _places(folder: Path, name: str) -> list[Path]:
    """Return every file of a credential: the gateway takes the first, and an older one is as secret as that."""
    folders = [os.environ.get("CREDENTIALS_DIRECTORY"), os.environ.get(FOLDER_VARIABLE), folder / "credentials"]
    return [place for one in folders if one and (place := Path(one) / name).exists()]


def _is_named(name: str, named: tuple[Path, ...]) -> bool:
    return any(path.name == name for path in named)


def _key_files(line: Line) -> Iterator[tuple[str, bool, Path]]:
    """Yield private keys that stand as files: of TLS, of OPC UA."""
    for what, to_the_end, part in _parts(line):
        key = getattr(getattr(part, "tls", None), "key", None)
        if isinstance(key, str) and (path := line.folder / key).exists():
            yield f"TLS of {what}", to_the_end, path
    for source in line.sources:
        if source.driver == "opcua":
            own = line.folder / str(source.options.get("certificates", "certs")) / "own" / "key.pem"
            user = source.options.get("user_certificate")
            of_user = [] if user is None else [(line.folder / str(user)).with_suffix(".key.pem")]
            yield from ((f"OPC UA of source {source.name}", False, path) for path in (own, *of_user) if path.exists())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink()) if folder.is_dir() else []


def _signing(data: Path) -> list[Path]:
    """Return the files of signing keys, last of all the one that signs."""
    first = [path for name in SIGNING_FILES if name != KEY_NAME and (path := data / name).exists()]
    return [*first, *([key_place(data)] if key_place(data) != data / KEY_NAME else []), data / KEY_NAME]


def _each_once(secrets: list[Secret], signing: Path) -> list[Secret]:
    """Keep the first of each name that is there, the signing key last. What is needed to the end goes at the end, by whichever name."""
    late = {one.path.resolve() for one in secrets if one.to_the_end}
    by_path: dict[Path, Secret] = {}
    for one in secrets:
        path = Path(os.path.normpath(one.path.absolute()))
        if os.path.lexists(path):
            by_path.setdefault(path, one._replace(path=path, to_the_end=_is_needed(path, late)))
    return sorted(by_path.values(), key=lambda one: (one.to_the_end, one.path.resolve() == signing.resolve()))


def _is_needed(path: Path, late: Collection[Path]) -> bool:
    """Say whether a name leads to what is needed to the end, or to a folder of it."""
    real = path.resolve()
    return real in late or (path.is_symlink() and any(one.is_relative_to(real) for one in late))


def _placed(one: Secret, of: Places, named: tuple[Path, ...]) -> Secret:
    """Say of a file why it is not erased: it is read later, it may be another line's as well, or it can not be."""
    return one._replace(kept_elsewhere=of.objection(one.path) or _foreign(one, of, named) or erasable.obstacle(one.path))


def _foreign(one: Secret, of: Places, named: tuple[Path, ...]) -> str:
    """Say of what lies outside of the line's folders that other lines may use it, unless the person named it."""
    real = one.path.resolve()
    inside = any(real.is_relative_to(folder) for folder in (of.line, of.data))
    if inside or one.path in {Path(os.path.normpath(path.absolute())) for path in named}:
        return ""
    if erasable.is_bare_link(one.path):
        what = "a folder" if real.is_dir() else "nothing that is there now"
        return f"is a link to {real}, outside of the line's folders, which is {what}: erase what it leads to where it lies, and unlink it"
    return f"{real} lies outside of the line's folders, where other lines may use it: name it with --secret-file to have it erased"
