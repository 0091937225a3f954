"""What is shown of a fallback: what was captured meanwhile, for the record that was led elsewhere.

What was not observed is a gap in it, and never an empty cell that looks well.
"""
