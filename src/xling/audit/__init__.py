"""Audit any model: how cross-lingual it is, where, for which languages, and what to do about it.

``xling.audit(model, parallel)`` does so for lists of lines; see :func:`xling.api.audit`.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """The package itself can be called: it has the name of the function for notebooks."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call :func:`xling.api.audit`."""
        from xling.api import audit

        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
