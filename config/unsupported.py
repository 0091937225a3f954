"""What the line folder may say one day, but has no effect yet. Refused, never ignored; the table shrinks as the product grows.

Key: the section and key of line.toml, or the file and column of a table. Value: the values that do work; empty means that none does.
"""

SUPPORTED_VALUES: dict[tuple[str, str], frozenset[str]] = {}

UNSUPPORTED_FILES: frozenset[str] = frozenset()


def refusal(where: str, key: str, value: object) -> str | None:
    """Why this value can not be used yet, or None."""
    allowed = SUPPORTED_VALUES.get((where, key))
    if allowed is None or str(value) in allowed:
        return None
    return f"`{key}` = `{str(value)[:60]}` is not supported yet" + (f"; supported: {', '.join(sorted(allowed))}" if allowed else "")
