"""line.toml and lots.toml: read with the place of each key; rules for lots."""
