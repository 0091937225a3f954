"""Check [users]: roles that accounts of the operating system have by their groups, and the socket by which people come."""

from pathlib import PurePosixPath

from config.checks.parsed_folder import ParsedFolder
from config.sections import Users


def check(parts: ParsedFolder) -> None:
    """Add the problems of [users] to the document."""
    users = parts.sections.users
    if users is None:
        if parts.environment == "production" and "users" not in parts.document.data:
            message = (
                "production asks for a person at every command that changes something: a section [users] with a socket for people "
                "is missing, so only root and the service's account reach the gateway; add people with `ebr-gateway users add`"
            )
            parts.document.warning(("line", "environment"), message)
        return
    if users.socket is not None and parts.sections.buffer is not None:
        own = PurePosixPath(parts.sections.buffer.directory) / "control.sock"
        if PurePosixPath(users.socket) == own:
            parts.document.error(("users", "socket"), "this is the gateway's own control socket: people need one of their own")
    if users.origin == "os-group":
        _groups(parts, users)
        return
    if users.roles:
        parts.document.error(("users", "roles"), 'groups have roles only with from = "os-group"; local users get theirs by `users add`')
    if users.pam is not None:
        parts.document.error(("users", "pam"), 'PAM knows accounts of the operating system: it is for from = "os-group"')


def _groups(parts: ParsedFolder, users: Users) -> None:
    if not users.roles:
        message = 'from = "os-group" needs roles, as roles = { operator = "plant-operators", qa = "plant-qa" }'
        parts.document.error(("users", "from"), message)
    if users.socket is None:
        parts.document.error(("users", "from"), 'from = "os-group" needs socket: only there the kernel can say which person comes')
    if users.pam is None and parts.environment == "production":
        message = (
            "without `pam` accounts give no password, so nobody can approve a version or sign a review here: "
            'run saslauthd, and add pam = "/run/saslauthd/mux"'
        )
        parts.document.warning(("users", "from"), message)
    if users.pam is not None and users.lock_minutes == 0:
        message = "0 is for local users, whom an administrator lets in again; an account is locked for good by its own directory"
        parts.document.error(("users", "lock_minutes"), message)
    seen: dict[str, str] = {}
    for role, group in users.roles.items():
        if (other := seen.setdefault(group, role)) != role:
            parts.document.error(("users", "roles", role), f"group `{group[:60]}` has role {other} already: nobody has two")
