"""Aligning the spaces of two models: stages, aligned pairs and their files."""

from xling.alignment.vector_files import read_vectors

__all__ = ["read_vectors"]
