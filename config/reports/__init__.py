"""Reports on a line folder, for people and for tools. They read a checked `Line` and change nothing."""
