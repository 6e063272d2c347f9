"""Subword vocabularies and the anchors that languages share."""
