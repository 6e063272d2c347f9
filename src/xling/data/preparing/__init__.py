"""Clean text for training from a data folder, and its evaluation parts in the same words."""
