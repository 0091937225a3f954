"""The table of who may do what: each command that changes something, by the name that the control socket knows it by.

docs/security.md has the same table; a test holds the two, the control socket and the command line against each other. What stands not here
reads only, and nobody is asked for.
"""

from typing import NamedTuple, get_args

from config.sections import Role
from gateway.entries.printable import printable

ROLES: tuple[Role, ...] = get_args(Role)
LEAST_REASON = 10
MOST_REASON = 1_000


class Rule(NamedTuple):
    """What a command asks for.

    words: as typed after `ebr-gateway`. reason: whether the person must say why. first: whether root or the service's account may give it
    while no administrator is there who could. signs: whether it is a signature, so that the password must come with the very command
    (`gateway.access.signatures`).
    """

    words: str
    roles: tuple[Role, ...]
    does: str
    reason: bool = True
    first: bool = False
    signs: bool = False


RULES: dict[str, Rule] = {
    "release-hold": Rule("release-hold", ("qa",), "let a held batch go"),
    "retire-uplink": Rule("retire-uplink", ("engineer", "admin"), "let go an uplink that line.toml no longer names"),
    "new-epoch": Rule("new-epoch", ("engineer", "admin"), "have the next start begin a new epoch"),
    "quarantine-resend": Rule("quarantine resend", ("operator", "engineer", "qa"), "offer entries to the receiver once more"),
    "quarantine-dispose": Rule("quarantine dispose", ("qa",), "take an entry as dealt with by a person"),
    "replay": Rule("replay", ("engineer", "qa"), "send a range of confirmed entries once more"),
    "alarm-ack": Rule("alarms ack", ("operator", "engineer", "qa", "admin"), "acknowledge an alarm; one for QA: qa alone"),
    "alarm-shelve": Rule("alarms shelve", ("engineer", "qa"), "take an alarm out of the banner for a time"),
    "alarm-unshelve": Rule("alarms unshelve", ("operator", "engineer", "qa"), "take a shelved alarm back before its time"),
    "notify-test": Rule("alarms test-message", ("operator", "engineer", "qa", "admin"), "send a test message", reason=False),
    "audit-review": Rule("audit review", ("qa",), "sign the review of an audit trail", reason=False, signs=True),
    "rotate-key": Rule("keys rotate", ("admin",), "sign with a new key"),
    "sign-archive": Rule("archive", ("operator", "engineer", "qa", "admin"), "sign the archive of a batch", reason=False),
    "document-record": Rule("document record", ("operator", "engineer", "qa", "admin"), "record a document in the journal", reason=False),
    "document-sign": Rule("document sign", ("operator", "engineer", "qa", "admin"), "sign a document", reason=False, signs=True),
    "qualification-dispose": Rule("qualify dispose", ("qa",), "dispose of a deviation of a run that somebody else made", signs=True),
    "observation-end": Rule("observation end", ("qa",), "end the observation period after go-live", signs=True),
    "compare-explain": Rule("compare explain", ("engineer", "qa"), "explain a difference from the legacy record of a batch"),
    "fallback-begin": Rule("fallback begin", ("operator", "engineer", "qa"), "say that records are led elsewhere"),
    "fallback-end": Rule("fallback end", ("operator", "engineer", "qa"), "say that records are led by this gateway again"),
    "fallback-import": Rule("fallback import", ("operator", "engineer", "qa"), "import what was written by hand during a fallback"),
    "config-propose": Rule("config propose", ("engineer",), "freeze the line folder as the next version"),
    "config-approve": Rule("config approve", ("qa",), "sign a version that somebody else proposed", reason=False, signs=True),
    "config-reject": Rule("config reject", ("qa",), "refuse a version that somebody else proposed", reason=False, signs=True),
    "config-activate": Rule("config activate", ("engineer", "qa"), "put an approved version into force", reason=False),
    "config-rollback": Rule("config rollback", ("engineer", "qa"), "go back to an earlier approved version"),
    "certs-make": Rule("certs make", ("engineer", "admin"), "make the gateway's own OPC UA certificate", reason=False),
    "certs-trust": Rule("certs trust", ("engineer", "admin"), "trust a server's certificate"),
    "restore": Rule("restore", ("admin",), "put a backup in the place of a journal that is gone", first=True),
    "retire": Rule("retire", ("qa",), "take the line out of service for good, and sign the record of that", reason=False, signs=True),
    "users-add": Rule("users add", ("admin",), "add a user", first=True),
    "users-disable": Rule("users disable", ("admin",), "let a user in no more"),
    "users-enable": Rule("users enable", ("admin",), "let a disabled or locked user in again"),
    "users-role": Rule("users role", ("admin",), "give a user another role"),
    "users-reset": Rule("users reset", ("admin",), "give a user a new first password"),
    "users-password": Rule("users password", ROLES, "change one's own password", reason=False),
}

BREAK_GLASS = ("users-add", "users-enable", "users-reset")
"""What root may do in an emergency although there are administrators; it raises an alarm."""


def reason_problem(reason: str) -> str | None:
    """Say what is wrong with a reason; None if it is one. Ten characters and a few different letters: `..........` tells nobody why.

    One line, and nothing that a terminal obeys: it stands in lists, where the next line would look like the next row.
    """
    if len(reason) < LEAST_REASON:
        return f"a reason of at least {LEAST_REASON} characters is needed: who reads it later must understand why"
    if len(reason) > MOST_REASON:
        return f"the reason is longer than {MOST_REASON} characters"
    if printable(reason) != reason:
        return "the reason is one line of printable characters"
    if len({letter for letter in reason.casefold() if letter.isalpha()}) < 4:
        return "this says no reason: words are meant"
    return None
