"""asyncua's namespace of types, untyped in one place: the library exports it by star imports that a type checker can not follow."""

from typing import Any

import asyncua as _asyncua
from asyncua import ua as _ua
from asyncua.crypto import security_policies as _policies

ua: Any = _ua
Client: Any = _asyncua.Client  # type: ignore[attr-defined]
policies: Any = _policies
