"""Memory-mapped token streams."""
