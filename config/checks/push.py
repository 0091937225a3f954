"""Check [push]: the clients that may send order parameters, the address to listen at, and the equipment that waits for them."""

from config.checks.parsed_folder import ParsedFolder
from config.grammars.listen import host_of, is_loopback, listen_problem
from config.problem import did_you_mean
from config.sections import Push


def check(parts: ParsedFolder) -> None:
    """Add the problems of [push] to the document."""
    push = parts.sections.push
    waiting = [(at, equipment) for at, equipment in parts.sections.equipment if equipment.pushed]
    if push is None:
        if "push" not in parts.document.data:
            for at, equipment in waiting:
                parts.document.error((*at, equipment.pushed[0]), "{ push = true } needs a section [push] with listen and [[push.client]]")
        return
    _listens(parts, push)
    _clients(parts, push, [equipment.name for _, equipment in waiting])
    for at, equipment in waiting:
        if push.client and not any(not client.equipment or equipment.name in client.equipment for client in push.client):
            parts.document.error((*at, equipment.pushed[0]), f"no [[push.client]] may send for `{equipment.name}`")


def _listens(parts: ParsedFolder, push: Push) -> None:
    if (problem := listen_problem(push.listen, "0.0.0.0:8443")) is not None:
        parts.document.error(("push", "listen"), problem)
    elif push.tls is None and not is_loopback(host_of(push.listen)):
        parts.document.error(
            ("push", "listen"), "tokens would cross the network unencrypted: add tls = { cert, key }, or listen on 127.0.0.1"
        )
    if push.tls is not None and (push.tls.cert is None or push.tls.key is None):
        parts.document.error(("push", "tls"), "the gateway's own cert and key are needed")
    if parts.sections.web is not None and parts.sections.web.listen == push.listen:
        parts.document.error(("push", "listen"), f"[web] listens at {push.listen} already")


def _clients(parts: ParsedFolder, push: Push, waiting: list[str]) -> None:
    if not push.client:
        parts.document.error(("push",), "nobody may send: a [[push.client]] with name and token is missing")
    if not waiting:
        parts.document.error(("push",), "no equipment waits for what is sent: one with { push = true } is missing")
    seen: dict[str, str] = {}
    for index, client in enumerate(push.client):
        at = ("push", "client", index)
        if client.name in [other.name for other in push.client[:index]]:
            parts.document.error((*at, "name"), f"client `{client.name}` stands twice")
        if (other := seen.setdefault(client.token.credential, client.name)) != client.name:
            parts.document.error((*at, "token"), f"client `{other}` has the same token: then nobody can say who sent")
        for number, name in enumerate(client.equipment):
            if waiting and name not in waiting:
                message = f"`{name[:60]}` is no equipment with {{ push = true }}{did_you_mean(name, waiting)}"
                parts.document.error((*at, "equipment", number), message)
