"""Figures, drawn from labelled results."""
