"""Sentence vectors of every layer, under several masks, in one pass over the text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from xling.device import BATCH_TOKENS, autocast, enough_memory, resolve_precision
from xling.encoders.encoder import Encoder
from xling.encoders.sentences import Sentences, tokenise
from xling.errors import XlingError
from xling.model.folder import one_line


def sentence_vectors(
    encoder: Encoder,
    lines: Sequence[str],
    excluded_ids: NDArray[np.int64] | None = None,
    batch_tokens: int = BATCH_TOKENS,
) -> NDArray[np.float32]:
    """Mean of the token vectors of each line, at every layer, special tokens left out.

    Args:
        encoder: Any encoder; its device is used, and it is left in the mode it was in.
        lines: N lines of text.
        excluded_ids: Token ids that the mean leaves out as well.
        batch_tokens: Most tokens, padding included, in one forward pass.

    Returns:
        float32 array [L + 1, N, d]: layer 0 is the output of the embeddings, layer L the last.
        A line without a token to average is a zero vector.

    Raises:
        XlingError: if the model returns no hidden states, or NaN or infinity.
    """
    excluded = np.array([], dtype=np.int64) if excluded_ids is None else np.asarray(excluded_ids)
    return sentence_means(encoder, tokenise(encoder, lines), {"": excluded}, batch_tokens)[""]


def sentence_means(
    encoder: Encoder,
    sentences: Sentences,
    excluded: Mapping[str, NDArray[np.int64]],
    batch_tokens: int = BATCH_TOKENS,
    advance: Callable[[int], object] = lambda lines: None,
) -> dict[str, NDArray[np.float32]]:
    """Means of each line under several masks, from one forward pass.

    Args:
        encoder: As :func:`sentence_vectors`.
        sentences: N tokenised lines.
        excluded: For each mask, by name, the token ids it leaves out (special tokens are always
            left out).
        batch_tokens: Most tokens, padding included, in one forward pass.
        advance: Called with the number of lines done, after each batch.

    Returns:
        For each mask float32 array [L + 1, N, d]; zeros for lines that keep no token.
    """
    masks_MT = np.stack([sentences.kept(ids) for ids in excluded.values()])
    means_MLND: NDArray[np.float32] | None = None
    for rows, at_BT, real_BT, hidden in hidden_states(encoder, sentences, batch_tokens):
        weights_BMT = torch.from_numpy(masks_MT[:, at_BT] & real_BT).transpose(0, 1).float()
        weights_BMT /= weights_BMT.sum(dim=2, keepdim=True).clamp(min=1)
        weights_BMT = weights_BMT.to(hidden[0].device)
        pooled_LBMD = torch.stack([weights_BMT @ layer_BTD.float() for layer_BTD in hidden])
        if means_MLND is None:
            shape = (len(masks_MT), len(hidden), len(sentences), hidden[0].shape[-1])
            means_MLND = np.zeros(shape, dtype=np.float32)
        means_MLND[:, :, rows] = pooled_LBMD.permute(2, 0, 1, 3).cpu().numpy()
        advance(len(rows))
    if means_MLND is None:
        raise XlingError("nothing to encode: no line has a token")
    for means_LND in means_MLND:
        check_finite(encoder, means_LND)
    return dict(zip(excluded, means_MLND, strict=True))


def check_finite(encoder: Encoder, vectors_LND: NDArray[np.float32]) -> None:
    """Refuse vectors of a model that has diverged, before anything is learnt from them.

    Raises:
        XlingError: NaN or infinity, by language and layer.
    """
    for layer, vectors_ND in enumerate(vectors_LND):
        broken = int(np.count_nonzero(~np.isfinite(vectors_ND).all(axis=1)))
        if broken:
            raise XlingError(
                f"{encoder.language}: layer {layer} gives NaN or infinity for {broken} of "
                f"{len(vectors_ND)} vectors: the model has diverged; take an earlier checkpoint"
            )


Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], tuple[torch.Tensor, ...]]


def hidden_states(encoder: Encoder, sentences: Sentences, batch_tokens: int) -> Iterator[Batch]:
    """Run the encoder over lines of similar length together, longest first.

    No gradient, no dropout; every module is left in the mode (training or not) it was in.

    Yields:
        Line numbers int64 [B]; positions in ``sentences.ids`` int64 [B, T]; which of those are
        real and not padding, bool [B, T]; and the L + 1 hidden states [B, T, d] on the device.

    Raises:
        XlingError: if the model returns no hidden states.
    """
    body = encoder.body
    device = encoder.device
    with evaluating(body):
        for rows in _length_buckets(sentences.lengths, batch_tokens):
            lengths_B = sentences.lengths[rows]
            columns_T = np.arange(lengths_B[0])
            real_BT = columns_T < lengths_B[:, None]
            at_BT = np.where(real_BT, sentences.starts[rows, None] + columns_T, 0)
            ids_BT = np.where(real_BT, sentences.ids[at_BT], sentences.padding)
            ids, mask = (
                torch.from_numpy(array).to(device) for array in (ids_BT, real_BT.astype(np.int64))
            )
            yield rows, at_BT, real_BT, frozen_states(body, ids, mask)


def frozen_states(
    body: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, **others: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Run a model as :func:`run_body` does: no gradient, bf16 autocast on a GPU that has it.

    Only the forward pass falls under autocast, not what a caller computes from its states.
    """
    with torch.inference_mode(), autocast(ids_BT.device, resolve_precision("auto", ids_BT.device)):
        return run_body(body, ids_BT, mask_BT, **others)


def run_body(
    body: Any, ids_BT: torch.Tensor, mask_BT: torch.Tensor, **others: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Run a model without its head and return all L + 1 hidden states [B, T, d].

    Args:
        body: The model.
        ids_BT: Token ids, int64 [B, T].
        mask_BT: 1 for real tokens and 0 for padding, int64 [B, T].
        others: Further inputs of the model, such as ``token_type_ids``.

    Raises:
        XlingError: it cannot be run on text, or returns no hidden states, or layers with other
            numbers of tokens or of unlike width, as models do that pool or stretch tokens.
    """
    name = type(body).__name__
    with running(body):
        output = body(input_ids=ids_BT, attention_mask=mask_BT, output_hidden_states=True, **others)
    hidden: tuple[torch.Tensor, ...] | None = getattr(output, "hidden_states", None)
    if not hidden:
        raise XlingError(
            f"{name} returns no hidden states: expected a transformers encoder that supports "
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
    """Let a model that cannot be run on tokens alone be an error that says so.

    Raises:
        XlingError: whatever its code made of them; the device's memory is too small.
    """
    try:
        with enough_memory(f"a batch of {type(body).__name__}"):
            yield
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise XlingError(
            f"{type(body).__name__} cannot be run on tokens ({one_line(error)}); expected an "
            "encoder of text, such as BERT, XLM-R or ModernBERT"
        ) from error


def _length_buckets(lengths: NDArray[np.int64], batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of lines with tokens, longest first, in batches of at most ``batch_tokens``.

    No line is padded to more than 1.25 times its length: in a small set a batch would otherwise
    reach from the longest lines to the shortest, and most of the work be padding.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    descending = lengths[order]
    start = 0
    while start < len(order):
        longest = int(descending[start])
        alike = int(np.searchsorted(-descending, -0.8 * longest, side="right")) - start
        size = max(1, min(batch_tokens // longest, alike))
        yield order[start : start + size]
        start += size


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and afterwards put every sub-module back into its own mode."""
    modes: list[tuple[Any, bool]] = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
