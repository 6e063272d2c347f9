"""Pretraining of a family on one text per language: masked tokens, or the next token."""
