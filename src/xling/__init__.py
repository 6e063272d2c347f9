"""Where, when and why the languages of a language model come to share a space."""

__version__ = "0.1.0"
