"""Max margins of large data: scans of all samples in blocks, and solvers among the few pairs that matter."""
