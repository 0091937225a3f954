"""Lot numbers in one spelling: rules, and the proof that no two rules can take the same lot."""
