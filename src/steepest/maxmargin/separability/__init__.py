"""Whether any weights separate the data: decided once, for every norm, with evidence that can be checked."""
