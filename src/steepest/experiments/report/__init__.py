"""A folder of results as one page for the browser."""
