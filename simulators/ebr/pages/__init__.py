"""Shows a batch record as a page, with plots, and as BatchML."""
