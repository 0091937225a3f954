"""Check [web]: the address of the page, its TLS files, and whether people may log in there."""

from config.checks.parsed_folder import ParsedFolder
from config.grammars.listen import host_of, is_loopback, listen_problem
from config.sections import Web, WebProxy


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
    if not web.read_only_without_login and users is not None and users.origin == "os-group" and users.pam is None:
        message = "accounts of the operating system give no password here: add `pam` to [users], or only local users can log in at the page"
        document.error(("web", "read_only_without_login"), message)
    if web.proxy is not None:
        _proxy(parts, web, web.proxy)


def _proxy(parts: ParsedFolder, web: Web, proxy: WebProxy) -> None:
    """Refuse a proxy that nobody could tell from somebody else."""
    document = parts.document
    if web.tls is None:
        document.error(("web", "proxy"), "a proxy proves itself by its certificate, so the page needs tls = { cert, key }")
    if web.read_only_without_login:
        document.error(("web", "proxy"), "who is named by a proxy is logged in: read_only_without_login = false is meant")
    if not proxy.roles:
        document.error(("web", "proxy", "roles"), 'groups of the identity provider are meant, as roles = { qa = "plant-qa" }')
    if len(set(proxy.roles.values())) < len(proxy.roles):
        document.error(("web", "proxy", "roles"), "one group has two roles: nobody has two")
    if any("," in group or group != group.strip() for group in proxy.roles.values()):
        document.error(("web", "proxy", "roles"), "a comma separates groups: none can stand in the name of one, nor a blank at its ends")
    if len({name.casefold() for name in (proxy.user, proxy.name, proxy.groups)}) < 3:
        document.error(("web", "proxy"), "user, name and groups are three headers")
