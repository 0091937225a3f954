"""The small languages of the tables: addresses, conditions of a step, terms of a booking.

Pure: each parser takes a text and returns an object, or raises an error whose text names the reason and a way to write it.
"""
