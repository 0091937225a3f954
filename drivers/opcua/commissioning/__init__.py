"""Before a line runs: browse a server, probe a tag map against it, check settings and certificates."""
