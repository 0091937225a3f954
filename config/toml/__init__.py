"""line.toml and lots.toml: read with the line number of each key, so that every problem names its place."""
