"""Steps of large parameters on the host in one pass over memory, compiled."""
