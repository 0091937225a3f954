"""What is wanted from a server and how it keeps coming: subscriptions, the stream of their messages, history for holes, upkeep."""
