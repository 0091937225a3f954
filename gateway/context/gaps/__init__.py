"""What was not observed: gaps of sources and tags, and tags that were silent too long."""
