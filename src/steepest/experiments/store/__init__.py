"""Results on disk: one file a cell, never half written, read back as labelled arrays."""
