"""Max margins that are relaxed: soft ones, whose samples have caps, and those with weights that are free."""
