"""A data folder from files in the formats that corpora come in (``xling data import``)."""
