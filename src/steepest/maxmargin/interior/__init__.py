"""Interior points on a norm ball: few iterations, whatever the conditioning."""
