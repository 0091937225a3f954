"""One line's gateway put together and kept running: drivers from the folder, tasks, retries, systemd."""
