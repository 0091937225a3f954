"""Check [web]: the address of the page, its TLS files, and whether people may log in there."""

from config.checks.parsed_folder import ParsedFolder
from config.grammars.listen import host_of, is_loopback, listen_problem
from config.sections import Web


def check(parts: ParsedFolder, web: Web) -> None:
    """Add the problems of [web] to the document."""
    document, users = parts.document, parts.sections.users
    if (problem := listen_problem(web.listen, "127.0.0.1:8080")) is not None:
        document.error(("web", "listen"), problem)
        return
    if web.tls is not None and (web.tls.cert is None or web.tls.key is None):
        document.error(("web", "tls"), "the gateway's own cert and key are needed")
    if web.tls is not None and web.tls.ca is not None:
        document.error(("web", "tls", "ca"), "the page asks nobody for a certificate: take ca out")
    seen_elsewhere = web.tls is None and not is_loopback(host_of(web.listen))
    if seen_elsewhere and web.read_only_without_login and parts.environment != "production":  # there it is refused unless accepted
        document.warning(("web", "listen"), f"the page can be seen from other machines at {web.listen}, without encryption")
    if seen_elsewhere and not web.read_only_without_login:
        message = "passwords would cross the network unencrypted: add tls = { cert, key }, or listen on 127.0.0.1"
        document.error(("web", "read_only_without_login"), message)
    if not web.read_only_without_login and users is not None and users.origin == "os-group":
        message = "accounts of the operating system have no password here: only local users can log in at the page"
        document.error(("web", "read_only_without_login"), message)
