"""Converts the content of entries both ways: bodies to be written; readings and events as the fold reads them; tag tables; ticks."""
