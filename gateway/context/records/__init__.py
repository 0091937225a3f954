"""Runs of steps and batches, from their first entry to their record, and two reports of the same steps compared."""
