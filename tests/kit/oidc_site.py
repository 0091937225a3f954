"""A site's identity provider (a small one: OpenID Connect Core 1.0, code flow), and Debian's Apache before the gateway's page."""

import base64
import json
import os
import secrets
import shutil
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from kit.processes import free_port, until
from kit.proxied_page import ProxiedPage

APACHE = shutil.which("apache2") or "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")
CLIENT, SECRET = "ebr-gateway", "client-secret-of-a-test"


def SITE(test: Any) -> Any:  # noqa: N802 - a mark, as those of pytest
    """Mark a test that needs Apache with its OpenID Connect module."""
    there = Path(APACHE).exists() and (MODULES / "mod_auth_openidc.so").exists()
    return pytest.mark.skipif(not there, reason="Debian's apache2 and libapache2-mod-auth-openidc are not installed")(test)


class Provider:
    """Logs in, without asking, whoever `person` is: the claims of the id token. logins: how often somebody came."""

    def __init__(self, page: ProxiedPage) -> None:
        self.person: dict[str, Any] = {}
        self.logins = 0
        self._key = rsa.generate_private_key(65_537, 2_048)
        self._codes: dict[str, str] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(url.query).items()}
                if url.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorised(asked))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self._json(provider.keys())

            def do_POST(self) -> None:
                asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
                assert self.headers["Authorization"] == f"Basic {basic}"
                self._json(provider.token(asked["code"][0]))

            def _json(self, value: Any) -> None:
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(page.server.cert, page.server.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.issuer = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def authorised(self, asked: dict[str, str]) -> str:
        """Take a person in, and send the browser back with a code."""
        self.logins += 1
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked["nonce"]
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, code: str) -> dict[str, Any]:
        """Exchange a code, once."""
        now = int(time.time())
        about = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": self._codes.pop(code)}
        claims = {"sub": f"s-{self.person['preferred_username']}", **about, **self.person}
        text = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims))
        signed = self._key.sign(text.encode(), padding.PKCS1v15(), SHA256())
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": f"{text}.{_base64(signed)}",
        }

    def keys(self) -> dict[str, Any]:
        """The public key, by which the proxy checks a token."""
        numbers = self._key.public_key().public_numbers()
        parts = {name: _base64(value.to_bytes((value.bit_length() + 7) // 8)) for name, value in (("n", numbers.n), ("e", numbers.e))}
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", **parts}]}


CONF = """
ServerRoot "{root}"
DefaultRuntimeDir "{root}"
PidFile "{root}/pid"
Mutex file:{root} default
ErrorLog "{root}/error.log"
LogLevel warn
ServerName localhost
Listen 127.0.0.1:{port}
{modules}
{user}
SSLEngine on
SSLCertificateFile "{server.cert}"
SSLCertificateKeyFile "{server.key}"
OIDCProviderIssuer {issuer}
OIDCProviderAuthorizationEndpoint {issuer}/authorize
OIDCProviderTokenEndpoint {issuer}/token
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCProviderJwksUri {issuer}/keys
OIDCCABundlePath "{ca}"
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCRedirectURI https://localhost:{port}/oidc
OIDCCryptoPassphrase a-passphrase-of-a-test
OIDCRemoteUserClaim preferred_username
OIDCScope "openid profile groups"
RequestHeader unset X-Remote-User early
RequestHeader unset X-Remote-Name early
RequestHeader unset X-Remote-Groups early
SSLProxyEngine on
SSLProxyMachineCertificateFile "{root}/proxy.pem"
SSLProxyCACertificateFile "{ca}"
SSLProxyVerify require
ProxyPreserveHost on
<Location />
  AuthType openid-connect
  Require valid-user
  RequestHeader set X-Remote-User "expr=%{{REMOTE_USER}}"
  RequestHeader set X-Remote-Name "expr=%{{reqenv:OIDC_CLAIM_name}}"
  RequestHeader set X-Remote-Groups "expr=%{{reqenv:OIDC_CLAIM_groups}}"
  ProxyPass https://localhost:{page}/
</Location>
"""
LOADED = "mpm_event authn_core authz_core authz_user ssl socache_shmcb headers proxy proxy_http auth_openidc unixd"


class Apache:
    """Debian's Apache, as docs/security.md says it is set up. folder: one that every account may enter, as Apache's workers are nobody."""

    def __init__(self, folder: Path, page: ProxiedPage, provider: Provider) -> None:
        folder.chmod(0o755)
        (folder / "ca.pem").write_bytes(page.authority.cert.read_bytes())
        self.port, self._folder = free_port(), folder
        (folder / "proxy.pem").touch(mode=0o600)
        (folder / "proxy.pem").write_bytes(page.proxy.cert.read_bytes() + page.proxy.key.read_bytes())
        modules = "\n".join(
            f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED.split() if (MODULES / f"mod_{name}.so").exists()
        )
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        own = {"root": folder, "port": self.port, "modules": modules, "user": user, "server": page.server, "ca": folder / "ca.pem"}
        (folder / "conf").write_text(CONF.format(**own, issuer=provider.issuer, client=CLIENT, secret=SECRET, page=page.port))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._folder / "out").open("ab") as out:
            words = [APACHE, "-d", str(self._folder), "-f", str(self._folder / "conf"), "-DFOREGROUND"]
            self._process = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
        until(self._runs)
        return self

    def _runs(self) -> bool:
        assert self._process is not None
        told = [path.read_text(errors="replace") for path in (self._folder / "out", self._folder / "error.log") if path.exists()]
        assert self._process.poll() is None, told
        return (self._folder / "pid").exists()

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()


class Browser:
    """A browser of somebody: cookies, redirects, forms."""

    def __init__(self, page: ProxiedPage, apache: Apache) -> None:
        self.url = f"https://localhost:{apache.port}"
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=page.context(None)), cookies, _Kept())

    def open(self, path: str, form: dict[str, str] | None = None, said: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Go somewhere; status and text of where it ends."""
        body = None if form is None else urlencode(form).encode()
        headers = {
            "Accept": "text/html",
            **({"Origin": self.url} if form is not None else {}),
            **(said or {}),
        }
        answer = self._opener.open(urllib.request.Request(self.url + path, body, headers), timeout=60)
        with answer:
            return answer.status, answer.read().decode()


class _Kept(urllib.request.HTTPErrorProcessor):
    """Follows redirects, and takes every other answer as it is."""

    def http_response(self, request: Any, response: Any) -> Any:
        return super().http_response(request, response) if 300 <= response.status < 400 else response

    https_response = http_response


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
