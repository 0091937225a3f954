"""What signals and rows say about where a batch is: identity, occupancy, steps."""
