"""What holds for an equipment over batches: hold times, alarms, conditions."""
