"""Public solvers on the same problems, for comparison and as a last resort."""
