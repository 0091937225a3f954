"""Keeps the signing key of a line: where it lies, which key vouched for which, and how it is changed while the line runs.

A systemd credential `checkpoint-key` if there is one, else a 0600 file in the journal's folder, made at the first start. Beside it stand,
for everybody, `checkpoint-key.pub` (all public keys so far, oldest first) and `key-rotations.txt` (each change, signed by both keys).
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buffer import durable, keys
from gateway.entries.findings import finding

KEY_NAME = "checkpoint-key"
PREVIOUS = "checkpoint-key-previous"
NEXT = "checkpoint-key.next"
PUBLIC = "checkpoint-key.pub"
ROTATIONS = "key-rotations.txt"

Append = Callable[[Mapping[str, Any], str], Awaitable[None]]
"""Append an audit event's `action` and `what` together with the fact that this public key signs from now on; on disk when done."""


class News(NamedTuple):
    """The audit event by which the journal must learn of the key. alarm: what a person must do, if anything."""

    event: dict[str, Any]
    alarm: str | None = None


class NotRotated(Exception):
    """The key stays as it is; the text says why."""


class Keyring:
    """Finds, makes and changes one line's signing key. Reads and writes files: not for the event loop's thread where the disk may hang.

    A new key is in the journal before it signs and before its file takes the old one's place; a start finishes or undoes what a crash
    left between the two.
    """

    def __init__(self, data: Path, gateway: str, journal_key: str | None) -> None:
        """Find the key, or make one. journal_key: the public key that signs according to the journal. Raises keys.KeyUnusable."""
        self._data, self._gateway = data, gateway
        self.credential = _credential(KEY_NAME)
        created = self._provide(journal_key)
        self.signer = keys.load(self.place, gateway)
        self.news = self._news(journal_key, created=created)
        self._publish()

    @property
    def place(self) -> Path:
        """Where the private key's file lies."""
        return key_place(self._data)

    def publics(self) -> list[str]:
        """Return all public keys so far, the present one last."""
        return [*(key for key in (self._data / PUBLIC).read_text("ascii").split() if key != self.signer.public), self.signer.public]

    def _provide(self, journal_key: str | None) -> bool:
        """See to it that there is a key file; True if it was made just now.

        A rotation that a crash cut is finished if the journal knows the new key, else undone.
        """
        for remains in (f".{NEXT}.part", f"{NEXT}.pub", f".{NEXT}.pub.part"):
            (self._data / remains).unlink(missing_ok=True)  # of a creation that was cut short: this key never signed anything
        if self.credential is not None:
            return False
        if (self._data / NEXT).exists():
            new = keys.load(self._data / NEXT, self._gateway)
            if new.public == journal_key:
                self._put_in_place(keys.rotation(keys.load(self.place, self._gateway), new))
            else:
                (self._data / NEXT).unlink()
        if self.place.exists():
            return False
        keys.create(self.place, self._gateway)
        return True

    def _news(self, journal_key: str | None, *, created: bool) -> News | None:
        """Return what the journal must say of the key; None if it knows it already."""
        public = self.signer.public
        if journal_key == public:
            return None
        if journal_key is None:
            return News({"action": "key-created" if created else "key-adopted", "what": {"public": public, "cause": "first start"}})
        old = self._previous(journal_key)
        if old is not None:
            event = keys.rotation(old, self.signer)
            _add(self._data / ROTATIONS, event["what"]["note"])
            return News(event | {"what": {**event["what"], "cause": "a new key was installed"}})
        alarm = "checkpoints are signed with a new key that the one before has not signed: give the new public key to all who verify"
        what = {"old": journal_key, "new": public, "cause": "the key before is not here"}
        return News({"action": "key-replaced", "what": what}, alarm)

    def _previous(self, public: str) -> keys.Signer | None:
        """Return the key that was replaced by hand, if it was left beside the new one and is the one with this public key."""
        path = _credential(PREVIOUS) or self._data / PREVIOUS
        if not path.exists():
            return None
        signer = keys.load(path, self._gateway)
        return signer if signer.public == public else None

    def _publish(self) -> None:
        """Add the public key to those that lie beside the journal for everybody."""
        path = self._data / PUBLIC
        held = path.read_text("ascii").splitlines() if path.exists() else []
        if self.signer.public not in held:
            _add(path, self.signer.public + "\n")

    def announce(self, append: Append, event: Callable[[Mapping[str, Any]], None]) -> None:
        """Have the journal say which key signs from now on, if it does not know yet, and raise the alarm that belongs to it.

        append as for `rotate`; event: appends an event, not waited for.
        """
        if self.news is None:
            return
        append(self.news.event, self.signer.public)
        if self.news.alarm is not None:
            event(finding("key-replaced", "alarm", self.news.alarm, {"public": self.signer.public}))

    async def rotate(self, append: Append) -> str:
        """Make a new key, have the journal say so, signed by both, then put it in the old one's place. Returns the new public key.

        A crash at any point leaves one key that the journal knows. Raises NotRotated.
        """
        if self.credential is not None:
            raise NotRotated(
                f"the key is a systemd credential: install the new one as {KEY_NAME}, the old one as {PREVIOUS}, and restart the gateway"
            )
        try:
            new = self._make_next()
        except OSError as error:
            raise NotRotated(f"a new key can not be kept: {error}") from error
        event = keys.rotation(self.signer, new)
        await append(event, new.public)
        self.signer = new
        try:
            self._put_in_place(event)
            self._publish()
        except OSError as error:
            raise NotRotated(f"the new key signs already, but its files are not in place ({error}): restart the gateway") from error
        return new.public

    def _make_next(self) -> keys.Signer:
        """Make the next key beside the present one. Nobody is told its public half before the journal knows it."""
        (self._data / NEXT).unlink(missing_ok=True)
        new = keys.create(self._data / NEXT, self._gateway)
        (self._data / f"{NEXT}.pub").unlink()
        return new

    def _put_in_place(self, event: Mapping[str, Any]) -> None:
        """Put the next key, which the journal knows by now, in the place of the old one, which is gone for good."""
        _add(self._data / ROTATIONS, event["what"]["note"])
        durable.place(self._data / NEXT, self.place)


def key_place(data: Path) -> Path:
    """Return where the private key of a journal's folder lies, or would lie."""
    return _credential(KEY_NAME) or data / KEY_NAME


def _credential(name: str) -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder) / name if folder else None
    return path if path is not None and path.exists() else None


def _add(path: Path, text: str) -> None:
    """Append to a file that everybody may read, durably and whole or not at all."""
    held = path.read_text("utf-8") if path.exists() else ""
    if text in held:
        return
    durable.write(path, (held + text).encode(), 0o644)
