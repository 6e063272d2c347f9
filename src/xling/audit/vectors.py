"""Sentence vectors of one language at every layer, streamed to files and read from them.

A language's folder has ``vectors/FORM/layer-I.npy`` for each form of pooling, as
:func:`xling.encoders.representations.write_pooled_vectors` writes them, and ``output.npy``,
float32 [N, e], if the model makes sentence vectors of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.device import Precision
from xling.encoders.representations import (
    broken_rows,
    layer_file,
    read_pooled_vectors,
    write_pooled_vectors,
)
from xling.encoders.sentences import Sentences, View
from xling.errors import XlingError
from xling.files import new_array

if TYPE_CHECKING:
    from xling.audit.subjects import Subject

MAIN, WEIGHTED, LAST, OUTPUT = "main", "weighted", "last", "output"
_VECTORS = "vectors"
_ROUNDING = 1e-5  # relative error of float32 means of some tens of tokens
_FEW = 8  # rows to check first: they nearly always differ if not all vectors are the same
Matrix = NDArray[np.float32]


def called(layer: str) -> str:
    """Return the name of a layer within a sentence."""
    return "the model's own output" if layer == OUTPUT else f"layer {layer}"


def write_vectors(
    folder: Path,
    subject: "Subject",
    language: str,
    sentences: Sentences,
    views: Mapping[str, View],
    batch_tokens: int,
    precision: Precision = "fp32",
    advance: Callable[[int], object] = lambda lines: None,
) -> None:
    """Run a model over a language's lines once and write the vectors of every form and layer.

    Args:
        folder: Where they are written.
        subject: The model.
        language: Language of the lines.
        sentences: N tokenised lines.
        views: For each form, by name, how a line's vector is made from its tokens' vectors.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        precision: Precision of the forward pass.
        advance: Called with the number of lines done, after each batch.

    Raises:
        XlingError: the model gives NaN or infinity, or no line has a token.
    """
    own = subject.own
    output: list[Any] = []

    def keep(rows: Any, batch: Any, hidden: Any) -> None:
        if own is not None:
            vectors = own.vectors(hidden, batch.ids_BL, batch.mask_BL)
            if not output:
                shape = (len(sentences), vectors.shape[-1])
                output.append(new_array(folder / f"{OUTPUT}.npy", shape))
            output[0][rows] = vectors

    encoder = subject.encoders[language]
    place = folder / _VECTORS
    write_pooled_vectors(
        encoder, sentences, views, place, batch_tokens, advance, precision, also=keep
    )
    for array in output:
        if broken := broken_rows(array):
            raise XlingError(
                f"{language}: the model's own output is NaN or infinity for {broken} of "
                f"{len(array)} lines: it has diverged; take an earlier checkpoint"
            )
        array.flush()


class Vectors:
    """The vectors of one language, read from their files.

    Args:
        folder: Where :func:`write_vectors` wrote them.
        layers: Which layers to use; all by default. The model's own output comes after them.
        width: Pads vectors with zeros to this width; 0 leaves them as they are.
    """

    def __init__(self, folder: Path, layers: "list[int] | None" = None, width: int = 0) -> None:
        self._folder = folder
        self._width = width
        every = range(len(read_pooled_vectors(folder / _VECTORS / MAIN)))
        self._layers = list(every) if layers is None else layers
        self._output = (folder / f"{OUTPUT}.npy").is_file()

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each layer: its number, or ``output``."""
        return (*map(str, range(len(self._layers))), *([OUTPUT] if self._output else []))

    @property
    def count(self) -> int:
        """Number of layers, the model's own output included."""
        return len(self.names)

    def has(self, form: str, layer: int) -> bool:
        """Tell whether there are vectors of a form at a layer."""
        of_layer = layer < len(self._layers) or form == MAIN
        return of_layer and (self._folder / _VECTORS / form).is_dir()

    def at(self, layer: int, form: str = MAIN) -> Matrix:
        """Return the vectors of a layer, float32 [N, d]; the last one may be the model's own."""
        if layer == len(self._layers):
            return _settled(np.load(self._folder / f"{OUTPUT}.npy"))
        found = np.load(self._folder / _VECTORS / form / layer_file(self._layers[layer]))
        missing = max(0, self._width - found.shape[1])
        return _settled(np.pad(found, ((0, 0), (0, missing))) if missing else found)


def _settled(vectors: Matrix) -> Matrix:
    """Make vectors equal that differ only by rounding; centred, only rounding would be left."""
    there = np.asarray(vectors.any(axis=1))
    if there.any():
        first = vectors[np.argmax(there)]
        some = vectors[:_FEW][there[:_FEW]]
        if len(some) and np.abs(some - first).max() > _ROUNDING * np.abs(first).max():
            return vectors  # as nearly always
        first = first.copy()
        if np.abs(vectors[there] - first).max() <= _ROUNDING * np.abs(first).max():
            vectors[there] = first
    return vectors
