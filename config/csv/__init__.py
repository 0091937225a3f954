"""The tables of a line folder: a strict CSV reader, the columns of each file, cells and rows with their places."""
