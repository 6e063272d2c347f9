"""Families of ordinary encoders that share what the sharing plan says."""
