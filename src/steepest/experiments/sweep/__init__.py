"""Computing what an experiment asks for, here or on a cluster."""
