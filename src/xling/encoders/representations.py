"""Hidden states of every layer, and sentence vectors under several views from one pass."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xling.device import BATCH_TOKENS, Precision, autocast, enough_memory
from xling.encoders.batches import Ints, Padded, Tokens, padded
from xling.encoders.config import Pooling
from xling.encoders.encoder import Encoder
from xling.encoders.sentences import Sentences, View, tokenise
from xling.errors import XlingError
from xling.files import atomic_folder, new_array
from xling.model.folder import one_line

Floats = NDArray[np.float32]
_Layers = TypeVar("_Layers", Floats, list[Floats])
_ROWS = 65_536  # checked at a time


def sentence_vectors(
    encoder: Encoder,
    lines: Sequence[str],
    excluded_ids: Ints | None = None,
    batch_tokens: int = BATCH_TOKENS,
    pooling: Pooling = "mean",
    prefix: str = "",
    precision: Precision = "fp32",
) -> Floats:
    """One vector per line at every layer: by default the mean of its tokens without special ones.

    Args:
        encoder: Any encoder; its device is used, and it is left in the mode it was in.
        lines: N lines of text.
        excluded_ids: Further token ids that are left out.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        pooling: How a line's vector is made from its tokens' vectors, see
            :class:`xling.encoders.sentences.View`.
        prefix: Text put before every line and part of it, such as ``"query: "`` for E5.
        precision: Precision of the forward pass.

    Returns:
        float32 array [L + 1, N, d]: layer 0 is the output of the embeddings, layer L the last,
        after the model's final normalisation if it has one (ModernBERT, T5, Llama, GPT-2). A line
        without an ordinary token is a zero vector.

    Raises:
        XlingError: if the model returns no hidden states, or NaN or infinity.
    """
    view = View(pooling) if excluded_ids is None else View(pooling, np.asarray(excluded_ids))
    sentences = tokenise(encoder, lines, prefix)
    return pooled_vectors(encoder, sentences, {"": view}, batch_tokens, precision=precision)[""]


def pooled_vectors(
    encoder: Encoder,
    sentences: Sentences,
    views: Mapping[str, View],
    batch_tokens: int = BATCH_TOKENS,
    advance: Callable[[int], object] = lambda lines: None,
    precision: Precision = "fp32",
) -> dict[str, Floats]:
    """Vectors of each line under several views, from one forward pass.

    Args:
        encoder: As :func:`sentence_vectors`.
        sentences: N tokenised lines.
        views: By name, how lines' vectors are made and which tokens they leave out.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        advance: Called with the number of lines done, after each batch.
        precision: Precision of the forward pass.

    Returns:
        For each view float32 array [L + 1, N, d]; zeros for lines that keep no ordinary token.
    """

    def make(layers: int, shape: tuple[int, int]) -> list[Floats]:
        return [np.zeros((layers, *shape), dtype=np.float32) for _ in views]

    filled = _filled(encoder, sentences, views, batch_tokens, advance, precision, make)
    return dict(zip(views, filled, strict=True))


def write_pooled_vectors(
    encoder: Encoder,
    sentences: Sentences,
    views: Mapping[str, View],
    out: Path,
    batch_tokens: int = BATCH_TOKENS,
    advance: Callable[[int], object] = lambda lines: None,
    precision: Precision = "fp32",
    also: Callable[[Ints, Padded, tuple[torch.Tensor, ...]], object] = lambda *batch: None,
) -> dict[str, list[Floats]]:
    """Write the result of :func:`pooled_vectors` to files; memory is that of one batch.

    Args:
        encoder: As :func:`sentence_vectors`.
        sentences: N tokenised lines.
        views: By name, how lines' vectors are made and which tokens they leave out.
        out: A folder, which is replaced: ``NAME/layer-I.npy`` has the float32 array [N, d] of a
            view and layer.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        advance: Called with the number of lines done, after each batch.
        precision: Precision of the forward pass.
        also: Called with each batch, as :func:`hidden_states` yields it.

    Returns:
        What :func:`read_pooled_vectors` reads.
    """
    with atomic_folder(out) as folder:

        def make(layers: int, shape: tuple[int, int]) -> list[list[Floats]]:
            for name in views:
                (folder / name).mkdir(exist_ok=True)
            return [
                [new_array(folder / name / layer_file(layer), shape) for layer in range(layers)]
                for name in views
            ]

        filled = _filled(encoder, sentences, views, batch_tokens, advance, precision, make, also)
        for layers in filled:
            for vectors in layers:
                vectors.flush()  # type: ignore[attr-defined]
    return {name: read_pooled_vectors(out / name) for name in views}


def read_pooled_vectors(folder: Path) -> list[Floats]:
    """Memory-map the layers of a view that :func:`write_pooled_vectors` wrote to ``OUT/NAME``.

    Returns:
        For each layer float32 array [N, d], read from its file when it is used.
    """
    layers = len(list(folder.glob(layer_file("*"))))
    return [np.lib.format.open_memmap(folder / layer_file(i), "r") for i in range(layers)]


def layer_file(layer: int | str) -> str:
    """Return the name of the file with the array of a layer."""
    return f"layer-{layer}.npy"


def _filled(
    encoder: Encoder,
    sentences: Sentences,
    views: Mapping[str, View],
    batch_tokens: int,
    advance: Callable[[int], object],
    precision: Precision,
    make: Callable[[int, tuple[int, int]], list[_Layers]],
    also: Callable[[Ints, Padded, tuple[torch.Tensor, ...]], object] = lambda *batch: None,
) -> list[_Layers]:
    """Make and fill an array for each view, with a number of layers and a shape [N, d]."""
    weights_MT = np.stack([sentences.weights(view) for view in views.values()])
    arrays: list[_Layers] = []
    parts = sentences.batches(batch_tokens)
    for rows, batch, hidden in hidden_states(encoder, sentences, parts, precision):
        weights_BMT = torch.from_numpy(
            np.where(batch.real_BL, weights_MT[:, batch.tokens_BL], np.float32(0))
        ).transpose(0, 1)
        weights_BMT /= weights_BMT.sum(dim=2, keepdim=True).clamp(min=1)
        weights_BMT = weights_BMT.to(hidden[0].device)
        pooled_LBMD = torch.stack([weights_BMT @ layer_BTD.float() for layer_BTD in hidden])
        pooled_MLBD = pooled_LBMD.permute(2, 0, 1, 3).cpu().numpy()
        arrays = arrays or make(len(hidden), (len(sentences), hidden[0].shape[-1]))
        for layers, pooled_LBD in zip(arrays, pooled_MLBD, strict=True):
            for layer, pooled_BD in zip(layers, pooled_LBD, strict=True):
                layer[rows] = pooled_BD
        also(rows, batch, hidden)
        advance(len(rows))
    if not arrays:
        raise XlingError("nothing to encode: no line has a token")
    for layers in arrays:
        check_finite(encoder, layers, precision)
    return arrays


def check_finite(encoder: Encoder, layers: Iterable[Floats], precision: Precision = "fp32") -> None:
    """Refuse vectors of a model that has diverged, before anything is learnt from them.

    Raises:
        XlingError: NaN or infinity, by language and layer.
    """
    for layer, vectors_ND in enumerate(layers):
        broken = broken_rows(vectors_ND)
        if broken:
            reason = "the model has diverged; take an earlier checkpoint"
            if precision == "fp16":
                reason = "its states are too large for fp16; take bf16 or fp32"
            raise XlingError(
                f"{encoder.language}: layer {layer} gives NaN or infinity for {broken} of "
                f"{len(vectors_ND)} vectors: {reason}"
            )


def broken_rows(vectors_ND: Floats) -> int:
    """Count the rows with NaN or infinity, a block at a time, since the array may be on disk."""
    parts = (vectors_ND[start : start + _ROWS] for start in range(0, len(vectors_ND), _ROWS))
    return sum(int(np.count_nonzero(~np.isfinite(part).all(axis=1))) for part in parts)


def hidden_states(
    encoder: Encoder, tokens: Tokens, parts: Iterable[Ints], precision: Precision = "fp32"
) -> Iterator[tuple[Ints, Padded, tuple[torch.Tensor, ...]]]:
    """Run a frozen encoder: the forward pass of everything that does not train it.

    No gradient, no dropout; every module is left in the mode (training or not) it was in. Only the
    forward pass runs under autocast, not what a caller computes from its states.

    Args:
        encoder: Its device is used.
        tokens: All rows.
        parts: Indices of the rows of each batch, such as ``tokens.batches(2048)``.
        precision: Precision of the forward pass.

    Yields:
        The row indices int64 [B] of a batch; the batch; the L + 1 hidden states [B, T, d].

    Raises:
        XlingError: if the model returns no hidden states, or has no embedding for a token.
    """
    body, device = encoder.body, encoder.device
    beyond = tokens.ids[tokens.ids >= encoder.rows]
    if len(beyond):
        token = encoder.tokenizer.convert_ids_to_tokens(int(beyond[0]))
        raise XlingError(
            f"{encoder.language}: the text spells out the special token {token}, which the model "
            "has no embedding for; remove it from the text"
        )
    with evaluating(body):
        for rows in parts:
            batch = padded(tokens, rows, device)
            with torch.inference_mode(), autocast(device, precision):
                hidden = run_body(body, batch.ids_BL, batch.mask_BL, **batch.inputs)
            yield rows, batch, hidden


def forward(body: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, **others: Any) -> Any:
    """Run a model without its head, and without the cache that text generation needs.

    Args:
        body: The model.
        ids_BT: Token ids, int64 [B, T].
        mask_BT: 1 for real tokens and 0 for padding, int64 [B, T].
        others: Further inputs of the model, such as ``token_type_ids``.

    Raises:
        XlingError: it cannot be run on text.
    """
    if "use_cache" in inspect.signature(body.forward).parameters:
        others["use_cache"] = False
    with running(body):
        return body(input_ids=ids_BT, attention_mask=mask_BT, **others)


def run_body(
    body: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, **others: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Run a model as :func:`forward` does and return all L + 1 hidden states [B, T, d].

    Raises:
        XlingError: it cannot be run on text, or returns no hidden states, or layers that differ in
            width or number of tokens, as in models that pool or stretch tokens.
    """
    name = type(body).__name__
    output = forward(body, ids_BT, mask_BT, output_hidden_states=True, **others)
    hidden: tuple[torch.Tensor, ...] | None = getattr(output, "hidden_states", None)
    if not hidden:
        raise XlingError(
            f"{name} returns no hidden states: expected a transformers model that supports "
            "output_hidden_states"
        )
    shapes = {tuple(layer.shape) for layer in hidden}
    if len(shapes) > 1 or next(iter(shapes))[:2] != tuple(ids_BT.shape):
        raise XlingError(
            f"{name} gives layers of the shapes {sorted(shapes)} for {tuple(ids_BT.shape)} tokens; "
            "expected one vector of one width for every token at every layer, as BERT, XLM-R or "
            "ModernBERT give"
        )
    return hidden


@contextmanager
def running(body: Any) -> Iterator[None]:
    """Turn the errors of a model that cannot be run on tokens alone into one that says so.

    Raises:
        XlingError: the model's code fails on them; the device's memory is too small.
    """
    try:
        with enough_memory(f"a batch of {type(body).__name__}"):
            yield
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise XlingError(
            f"{type(body).__name__} cannot be run on tokens ({one_line(error)}); expected an "
            "encoder of text, such as BERT, XLM-R or ModernBERT"
        ) from error


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and afterwards restore the mode of every sub-module."""
    modes: list[tuple[Any, bool]] = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
