"""Builds a batch record from the stored entries alone: steps, readings, bookings, exceptions, and the batch's seal recomputed."""
