"""Lots consumed and made, samples and results: bookings, their terms, and the account of each batch."""
