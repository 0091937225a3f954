"""Lot numbers in one spelling: `rules` applies them, `proof` decides what a pattern can match; `toml.lot_rules` compares a folder's rules."""
