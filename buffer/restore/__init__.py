"""The second way in: copy a journal, and bring a copy back, with what the EBR holds beyond it."""
