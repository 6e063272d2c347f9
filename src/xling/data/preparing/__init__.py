"""Clean training text from a data folder, and its evaluation parts written the same way."""
