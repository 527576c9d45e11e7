"""Certificates: bounds that hold whatever a solver did, and proofs that there is no margin."""
