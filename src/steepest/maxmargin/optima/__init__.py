"""The set of all optima: its face, its shape, its point of least Frobenius norm."""
