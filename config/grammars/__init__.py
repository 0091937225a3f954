"""The small languages of the tables: addresses, conditions of a step, terms of a booking. Pure: text in, object or reason out."""
