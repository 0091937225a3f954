"""line.toml and lots.toml: read with the place of each key, secrets that stand elsewhere, rules for lots."""
