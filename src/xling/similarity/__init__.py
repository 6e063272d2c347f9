"""Representations and how alike two languages are, layer by layer."""
