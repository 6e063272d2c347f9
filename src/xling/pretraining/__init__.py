"""Masked language modelling on one language a batch."""
