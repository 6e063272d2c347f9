"""The data layout, its sources and its validation."""
