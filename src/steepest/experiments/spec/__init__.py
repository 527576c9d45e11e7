"""What an experiment is: its file, its values, its data, and the cells that it comes to."""
