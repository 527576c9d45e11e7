"""What max-margin solvers know about each family of norms: a file a family, registered on import."""

from steepest.maxmargin.norms import entrywise, rows, schatten

__all__ = ["entrywise", "rows", "schatten"]
