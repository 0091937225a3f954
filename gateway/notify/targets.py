"""Delivers one message: by SMTP (RFC 5321, with STARTTLS or TLS from the beginning), by a POST to a webhook, or to an MQTT broker."""

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
import aiosmtplib

from config.sections import Notify
from gateway.notify.broker import Broker
from gateway.notify.messages import Message, posted
from gateway.notify.undelivered import WITHIN_S, NotDelivered
from gateway.uplink.errors import UplinkError
from gateway.uplink.tls import Identity


class Target(Protocol):
    """Somebody who is told."""

    async def deliver(self, gateway: str, message: Message) -> None:
        """Deliver a message. Raises NotDelivered: a server that did not say that it has it, has it not."""


def target(settings: Notify, folder: Path) -> Target:
    """Make the target of a [[notify]] table. folder: the line folder, for TLS files and secrets."""
    kinds: dict[str, Callable[[Notify, Path], Target]] = {"smtp": Mail, "smtps": Mail, "mqtt": Broker, "mqtts": Broker}
    return kinds.get(settings.endpoint.partition(":")[0], Hook)(settings, folder)


class Mail:
    """Sends e-mail. All recipients must be taken: one who is refused is a message that did not arrive."""

    def __init__(self, settings: Notify, folder: Path) -> None:
        self._settings, self._identity = settings, Identity(settings.tls, folder, settings.password)

    async def deliver(self, gateway: str, message: Message) -> None:
        """Send one e-mail to all of `to`."""
        settings, url = self._settings, urlsplit(self._settings.endpoint)
        tls = url.scheme == "smtps"
        try:
            client = aiosmtplib.SMTP(
                hostname=url.hostname,
                port=url.port or (465 if tls else 587),
                use_tls=tls,
                start_tls=not tls and settings.encrypted,
                tls_context=self._identity.context() if tls or settings.encrypted else None,
                timeout=WITHIN_S,
            )
            async with asyncio.timeout(2 * WITHIN_S), client:
                if settings.user is not None:
                    await client.login(settings.user, self._identity.password() or "")
                refused, _ = await client.send_message(self._mail(gateway, message))
        except (aiosmtplib.SMTPException, UplinkError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(str(error) or type(error).__name__) from error
        if refused:
            raise NotDelivered(f"the server does not take {', '.join(sorted(refused))}")

    def _mail(self, gateway: str, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = str(self._settings.sender), ", ".join(self._settings.to)
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=gateway.replace("/", "."))
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice comes back
        mail.set_content(message.text)
        return mail


class Hook:
    """Posts JSON: `gateway`, `subject`, `text`, `alarms`. A status of 200 to 299 says that it arrived."""

    def __init__(self, settings: Notify, folder: Path) -> None:
        self._settings, self._identity = settings, Identity(settings.tls, folder, settings.password)

    async def deliver(self, gateway: str, message: Message) -> None:
        """Post one message."""
        told = posted(gateway, message)
        try:
            context = self._identity.context() if self._settings.endpoint.startswith("https:") else None
            token = self._identity.password()
            head = {} if token is None else {"Authorization": f"Bearer {token}"}
            limit = aiohttp.ClientTimeout(total=WITHIN_S)
            async with (
                aiohttp.ClientSession(timeout=limit, headers=head) as session,
                session.post(self._settings.endpoint, json=told, ssl=context or True, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, UplinkError, OSError, TimeoutError, ValueError) as error:
            raise NotDelivered(str(error) or type(error).__name__) from error
        if not 200 <= status <= 299:
            raise NotDelivered(f"status {status}")
