"""Lot numbers in one spelling: `rules` applies the rules, `proof` decides what a pattern matches, `toml.lot_rules` compares all rules.

Invariants, proven when the folder is read and never assumed: two different lots of one source never get one canonical number, no lot
matches two rules, and matching takes linear time. The raw number is always kept beside the canonical one.
"""
