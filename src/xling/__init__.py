"""Where, when and why the languages of a language model come to share a space."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import ``load_aligned`` where it is first used: it needs torch."""
    if name == "load_aligned":
        from xling.alignment.pair import load_aligned

        return load_aligned
    raise AttributeError(f"module 'xling' has no attribute {name!r}")
