"""Sentence vectors of one language at every layer, streamed to files and mapped from them.

A language's folder has ``FORM.npy``, float32 [L + 1, N, d], for each form of pooling, and
``output.npy``, float32 [N, e], if the model makes sentence vectors of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.encoders.representations import hidden_states
from xling.encoders.sentences import Sentences
from xling.errors import XlingError

if TYPE_CHECKING:
    from xling.audit.subjects import Subject

MEAN, WEIGHTED, LAST, OUTPUT = "mean", "weighted", "last", "output"
_ROUNDING = 1e-5  # relative, of float32 means of some tens of tokens
_NONE = np.array([], dtype=np.int64)
Matrix = NDArray[np.float32]


def pooling(sentences: Sentences, form: str, excluded: NDArray[np.int64] = _NONE) -> Matrix:
    """Return the weight of every token in the vector of its line.

    Args:
        sentences: N tokenised lines.
        form: ``mean`` of a line's own tokens; ``weighted`` by position, 1 for the first
            (Muennighoff 2022, section 3.1.1); ``last``, the last token alone.
        excluded: Ids that are left out as special tokens are.

    Returns:
        float32 array [T]; the weights of a line add up to 1, or to 0 if it keeps no token.
    """
    kept = sentences.kept(excluded)
    line = np.repeat(np.arange(len(sentences)), sentences.lengths)
    counts = np.bincount(line, weights=kept, minlength=len(sentences))
    before = np.concatenate([[0.0], np.cumsum(counts)])[:-1]
    position = np.cumsum(kept) - before[line]
    if form == MEAN:
        weights = kept.astype(np.float64)
    elif form == WEIGHTED:
        weights = kept * position
    else:
        weights = kept * (position == counts[line])
    sums = np.bincount(line, weights=weights, minlength=len(sentences))
    return np.asarray(weights / np.maximum(sums, 1)[line], dtype=np.float32)


def write_vectors(
    folder: Path,
    subject: "Subject",
    language: str,
    sentences: Sentences,
    forms: Mapping[str, Matrix],
    batch_tokens: int,
    advance: Callable[[int], object] = lambda lines: None,
) -> None:
    """Run a model over a language's lines once and write the vectors of every form and layer.

    Args:
        folder: Where they go.
        subject: The model.
        language: Whose lines they are.
        sentences: N tokenised lines.
        forms: For each form, by name, the weights of the tokens; see :func:`pooling`.
        batch_tokens: Most tokens, padding included, in one forward pass.
        advance: Called with the number of lines done, after each batch.

    Raises:
        XlingError: the model gives NaN or infinity, or no line has a token.
    """
    import torch

    encoder, own = subject.encoders[language], subject.own
    arrays: dict[str, Any] = {}
    weights_MT = np.stack(list(forms.values()))
    for rows, at_BT, real_BT, hidden in hidden_states(encoder, sentences, batch_tokens):
        if not arrays:
            shape = (len(hidden), len(sentences), hidden[0].shape[-1])
            arrays = {form: _new(folder, form, shape) for form in forms}
        weights_BMT = torch.from_numpy(weights_MT[:, at_BT] * real_BT).transpose(0, 1)
        weights_BMT = weights_BMT.contiguous().to(hidden[0].device)
        for layer, states_BTD in enumerate(hidden):
            pooled_MBD = (weights_BMT @ states_BTD.float()).transpose(0, 1).cpu().numpy()
            for array, pooled_BD in zip(arrays.values(), pooled_MBD, strict=False):
                array[layer, rows] = pooled_BD
        if own is not None:
            vectors = own.vectors(hidden, sentences.ids[at_BT], real_BT)
            if OUTPUT not in arrays:
                arrays[OUTPUT] = _new(folder, OUTPUT, (len(sentences), vectors.shape[-1]))
            arrays[OUTPUT][rows] = vectors
        advance(len(rows))
    if not arrays:
        raise XlingError(f"{language}: nothing to encode: no line has a token")
    for array in arrays.values():
        _check_finite(language, array)
        array.flush()


def _new(folder: Path, form: str, shape: tuple[int, ...]) -> Any:
    path = folder / f"{form}.npy"
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def _check_finite(language: str, array: Matrix) -> None:
    for layer, vectors in enumerate(array if array.ndim == 3 else array[None]):
        broken = int(np.count_nonzero(~np.isfinite(vectors).all(axis=1)))
        if broken:
            where = f"layer {layer}" if array.ndim == 3 else "its own output"
            raise XlingError(
                f"{language}: {where} is NaN or infinity for {broken} of {len(vectors)} lines: the "
                "model has diverged, or its precision is too low; take an earlier checkpoint"
            )


class Vectors:
    """The vectors of one language, mapped from their files.

    Args:
        folder: Where :func:`write_vectors` put them.
        layers: Which layers to look at; all by default. The model's own output comes after them.
        width: Pads vectors with zeros to this width; 0 leaves them as they are.
    """

    def __init__(self, folder: Path, layers: "list[int] | None" = None, width: int = 0) -> None:
        self._folder = folder
        self._width = width
        first = np.load(folder / f"{MEAN}.npy", mmap_mode="r")
        self._layers = list(range(len(first))) if layers is None else layers
        self._output = (folder / f"{OUTPUT}.npy").is_file()

    @property
    def count(self) -> int:
        """Layers, the model's own output included."""
        return len(self._layers) + self._output

    def has(self, form: str, layer: int) -> bool:
        """Tell whether there are vectors of a form at a layer."""
        of_layer = layer < len(self._layers) or form == MEAN
        return of_layer and (self._folder / f"{form}.npy").is_file()

    def at(self, layer: int, form: str = MEAN) -> Matrix:
        """Return the vectors of a layer, float32 [N, d]; the last one may be the model's own."""
        if layer == len(self._layers):
            return _settled(np.load(self._folder / f"{OUTPUT}.npy"))
        mapped = np.load(self._folder / f"{form}.npy", mmap_mode="r")[self._layers[layer]]
        missing = max(0, self._width - mapped.shape[1])
        padded = np.pad(mapped, ((0, 0), (0, missing))) if missing else np.array(mapped)
        return _settled(padded)


def _settled(vectors: Matrix) -> Matrix:
    """Let vectors that differ by rounding only be equal; centred, they would be nothing else."""
    there = vectors.any(axis=1)
    if there.any():
        first = vectors[there][0]
        if np.abs(vectors[there] - first).max() <= _ROUNDING * np.abs(first).max():
            vectors[there] = first
    return vectors
