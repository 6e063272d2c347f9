"""Masked language modelling with one language per batch."""
