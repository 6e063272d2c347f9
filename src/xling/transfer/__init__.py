"""Zero-shot transfer: fine-tune on one language, test on the others.

``xling.transfer(model, task, train, test)`` does so with examples in lists; see
:func:`xling.api.transfer`.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """The package, which has the name of the function that a notebook calls."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call :func:`xling.api.transfer`."""
        from xling.api import transfer

        return transfer(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
