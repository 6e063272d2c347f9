"""Families of ordinary models that share what the sharing plan says."""
