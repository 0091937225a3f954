"""A batch record from the stored entries alone: steps, readings, bookings, exceptions, and the seal recomputed."""
