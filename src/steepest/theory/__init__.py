"""The theory as code."""
