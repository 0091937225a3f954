"""asyncua's namespace of types, untyped in one place: the library exports it by star imports that a type checker can not follow."""

from typing import Any

import asyncua as _asyncua
from asyncua import ua as _ua
from asyncua.crypto import security_policies as _policies

ua: Any = _ua
Client: Any = _asyncua.Client  # type: ignore[attr-defined]
policies: Any = _policies


def status_name(code: int) -> str:
    """Return a status code's name (BadTimeout), or the number where the specification names none."""
    name = ua.status_codes.get_name_and_doc(code)[0]
    return f"0x{code:08X}" if name == "UnknownUaError" else str(name)
