"""What stands in an entry, both ways: bodies as they are written, readings and events as the fold reads them, ticks."""
