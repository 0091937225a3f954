"""The validation package of a line, made by the product itself: what its interfaces are, and the proof of what was done."""
