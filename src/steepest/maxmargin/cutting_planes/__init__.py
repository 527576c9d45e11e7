"""Max margins in any norm with a value, a dual and a direction: cuts, and Newton where it is smooth."""
