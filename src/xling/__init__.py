"""Where, when and why the languages of a language model come to share a space.

On plain lists, with any Hugging Face encoder (a folder, a name, or a model and its tokenizer)::

    import xling

    card = xling.audit(model, {"en": [...], "fr": [...]})   # how cross-lingual is it, what to do
    xling.probe(model, {"en": [...], "fr": [...]})        # how far two languages share a space
    pair = xling.align(one, other, {"en": [...], "fr": [...]})   # two models into one space
    pair = xling.load_aligned("folder")                   # such a pair, from its folder
    xling.transfer(model, "ner", train={"en": [...]}, test={"fr": [...]})   # does a task carry over

``help(xling.api)`` explains these functions. Scores come back as pandas data frames. An error that
you can fix is an ``XlingError``. ``xling.measures`` works on plain arrays: CKA and other
similarities, retrieval, maps, lexicons, word alignment. The command line has all stages:
``xling --help``. Importing xling imports neither torch nor pandas.
"""

from typing import TYPE_CHECKING

from xling.errors import XlingError as XlingError

if TYPE_CHECKING:
    from xling.api import align, audit, load_aligned, probe, transfer

__version__ = "0.1.0"

_FUNCTIONS = ("align", "load_aligned", "probe")
# `xling.audit` and `xling.transfer` are packages that can also be called.
_PACKAGES = (
    *("alignment", "api", "audit", "conlang", "data", "encoders", "measures", "model"),
    *("pretraining", "report", "similarity", "study", "tokens", "transfer", "vocabulary"),
)
__all__ = ["align", "audit", "load_aligned", "probe", "transfer"]


def __getattr__(name: str) -> object:
    """Import functions and sub-packages where they are first used (PEP 562)."""
    from importlib import import_module

    if name in _FUNCTIONS:
        return getattr(import_module("xling.api"), name)
    if name in _PACKAGES:
        return import_module(f"xling.{name}")
    raise AttributeError(f"module 'xling' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return all public names, including those that are not imported yet."""
    return sorted({*globals(), *__all__, *_PACKAGES})
