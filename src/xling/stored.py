"""Fitted transforms in safetensors files: what was learnt, and under which settings."""

import json
import struct
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from xling.errors import XlingError
from xling.files import atomic_file


class Stored:
    """An estimator in scikit-learn's sense that is saved as one safetensors file.

    The settings (the arguments of ``__init__``) and the name of the class go into the file's
    metadata, the learnt arrays into its tensors. Nothing is pickled.
    """

    _settings: ClassVar[tuple[str, ...]] = ()
    _learnt: ClassVar[tuple[str, ...]] = ()

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the settings by name; ``deep`` is scikit-learn's and changes nothing here."""
        return {name: getattr(self, name) for name in self._settings}

    def set_params(self, **params: object) -> Self:
        """Change settings by name; what was learnt stays until the next ``fit``.

        Raises:
            XlingError: no setting has this name, or a value is out of range.
        """
        unknown = sorted(set(params) - set(self._settings))
        if unknown:
            expected = ", ".join(self._settings) or "none"
            raise XlingError(
                f"{type(self).__name__}: no setting {unknown[0]!r}; its settings: {expected}"
            )
        # __init__ checks the values.
        type(self).__init__(self, **{**self.get_params(), **params})
        return self

    def __sklearn_tags__(self) -> object:
        # Only scikit-learn calls this, so it is there. Its pipelines and searches ask for it.
        from sklearn.utils import Tags, TargetTags, TransformerTags

        needs_pairs = TargetTags(required=hasattr(self, "score"))
        return Tags(
            estimator_type=None, target_tags=needs_pairs, transformer_tags=TransformerTags()
        )

    def save(self, path: Path | str) -> None:
        """Write the fitted transform to ``path``, atomically.

        Raises:
            XlingError: if it has not been fitted.
        """
        from safetensors.numpy import save

        self._check_fitted()
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in self._learnt}
        settings = {name: getattr(self, name) for name in self._settings}
        metadata = {"class": type(self).__name__, "settings": json.dumps(settings)}
        with atomic_file(Path(path), "wb") as file:
            file.write(_in_order(save(arrays, metadata)))

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a transform that :meth:`save` of the same class wrote.

        Raises:
            XlingError: if the file is missing, is not safetensors or holds something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays: dict[str, object] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise XlingError(f"{path}: cannot be read as safetensors ({error})") from None
        found = metadata.get("class", "no transform of xling")
        if found != cls.__name__ or set(arrays) != set(cls._learnt):
            raise XlingError(f"{path}: holds {found}; expected {cls.__name__}")
        try:
            transform = cls(**json.loads(metadata["settings"]))
        except (KeyError, TypeError, ValueError) as error:
            raise XlingError(f"{path}: its settings cannot be read ({error})") from None
        for name, array in arrays.items():
            setattr(transform, name, array)
        return transform

    def _check_fitted(self) -> None:
        if not all(hasattr(self, name) for name in self._learnt):
            raise XlingError(f"{type(self).__name__} has not been fitted: call fit first")


def _in_order(content: bytes) -> bytes:
    """Sort the metadata of a safetensors file, whose order differs between processes."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    padding = b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text + padding)) + text + padding + content[8 + length :]
