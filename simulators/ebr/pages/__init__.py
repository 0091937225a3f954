"""The record as a page, as plots and as BatchML."""
