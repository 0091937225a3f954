"""Lot numbers in one spelling: `rules` applies them, `proof` decides what a pattern matches, `toml.lot_rules` compares a folder's rules."""
