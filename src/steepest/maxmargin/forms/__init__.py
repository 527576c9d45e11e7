"""Forms of a max-margin problem that solvers work on, and what they hand back."""
