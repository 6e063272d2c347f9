"""Sentence vectors kept in a folder, keyed by the content of the encoder and of the lines."""

import hashlib
import inspect
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling import artefact
from xling.device import BATCH_TOKENS, Precision
from xling.encoders.config import EncodingConfig, Pooling
from xling.encoders.encoder import Encoder
from xling.encoders.representations import sentence_vectors
from xling.files import atomic_file
from xling.model.folder import one_line

logger = logging.getLogger(__name__)

_VECTORS = "vectors.safetensors"
_HASH = "blake2b"


def kept_sentence_vectors(
    encoder: Encoder,
    lines: Sequence[str],
    folder: Path,
    batch_tokens: int = BATCH_TOKENS,
    pooling: Pooling = "mean",
    prefix: str = "",
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """Return the result of :func:`sentence_vectors`, from ``folder`` if it was kept there.

    Args:
        encoder: Any encoder; it is recognised by its weights, configuration and tokenizer.
        lines: N lines of text.
        folder: Where the vectors are kept; replaced if it holds those of another encoder or of
            other lines. They take 4 bytes x (L + 1) x N x d.
        batch_tokens: Maximum number of tokens, padding included, in one forward pass.
        pooling: As in :func:`sentence_vectors`.
        prefix: Text put before every line.
        precision: Precision of the forward pass.

    Returns:
        float32 array [L + 1, N, d].

    Raises:
        XlingError: as :func:`sentence_vectors`; ``folder`` holds something else.
    """
    from safetensors.numpy import save

    config = EncodingConfig(pooling=pooling, prefix=prefix, precision=precision)
    content = {"encoder": encoder_hash(encoder), "lines": _lines_hash(lines)}
    content |= config.model_dump(exclude={"batch_tokens"})
    description = artefact.describe("sentence vectors", content, {})
    if artefact.is_current(folder, description):
        kept = _read(folder / _VECTORS)
        if kept is not None:
            return kept
    vectors = sentence_vectors(encoder, lines, None, batch_tokens, **config.encoding)
    with (
        artefact.building(folder, description, {"device": str(encoder.device)}) as written,
        atomic_file(written / _VECTORS, "wb") as file,
    ):
        file.write(save({"vectors": vectors}, {_HASH: _array_hash(vectors)}))
    return vectors


def _read(path: Path) -> NDArray[np.float32] | None:
    """Return kept vectors; None if they are unreadable or were altered."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            vectors: NDArray[np.float32] = file.get_tensor("vectors")
            said = (file.metadata() or {}).get(_HASH)
    except (OSError, SafetensorError) as error:
        logger.warning("%s: cannot be read (%s); encoding again", path, one_line(error))
        return None
    if said != _array_hash(vectors):
        logger.warning("%s: was altered since it was written; encoding again", path)
        return None
    return vectors


def _array_hash(vectors: NDArray[np.float32]) -> str:
    digest = hashlib.blake2b(repr(vectors.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(vectors).view(np.uint8).data)
    return digest.hexdigest()


def encoder_hash(encoder: Encoder) -> str:
    """Hash all that determines an encoder's output: weights, configuration and tokenizer."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    limit = f"{encoder.maximum_length} {sorted(encoder.tokenizer.all_special_ids)}"
    for text in (
        type(encoder.body).__name__,
        _configuration_text(encoder),
        _tokenizer_text(encoder),
        limit,
    ):
        digest.update(text.encode() + b"\0")
    digest.update(_own_code(encoder).encode())
    for name, tensor in sorted(encoder.body.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(memoryview(flat.numpy()))
    return digest.hexdigest()


def _own_code(encoder: Encoder) -> str:
    """Return the Python code shipped with a model, if its class comes from there."""
    kind = type(encoder.body)
    if not kind.__module__.startswith("transformers_modules"):
        return ""
    return inspect.getsource(sys.modules[kind.__module__])


def _configuration_text(encoder: Encoder) -> str:
    """Return a model's configuration without the place and version it was opened from."""
    content = json.loads(encoder.body.config.to_json_string(use_diff=False))
    return json.dumps({**content, "_name_or_path": None, "transformers_version": None})


def _tokenizer_text(encoder: Encoder) -> str:
    """Return a tokenizer's content without the truncation and padding of its last use."""
    content = json.loads(encoder.tokenizer.backend_tokenizer.to_str())
    return json.dumps({**content, "truncation": None, "padding": None})


def _lines_hash(lines: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for line in lines:
        data = line.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
