"""Hidden states of frozen encoders, computed once and kept on disk by content."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xling.encoders.batches import packed
from xling.encoders.encoder import Encoder
from xling.encoders.kept_vectors import encoder_hash
from xling.encoders.representations import broken_rows, hidden_states, layer_file
from xling.encoders.windows import Windows
from xling.errors import XlingError
from xling.files import atomic_folder, new_array
from xling.pretraining.distributed import World
from xling.progress import bar
from xling.transfer.finetune import DivergedError
from xling.transfer.task import Split

States = Mapping[int, NDArray[np.float32]]


class FeatureCache:
    """States of all tokens at every layer, as arrays mapped from files.

    Args:
        folder: Where they lie: one folder for each encoder and text, named by a hash of weights
            and token ids, with one ``layer-I.npy`` of float32 [T, d] per layer.
        batch_tokens: Most tokens in one forward pass.
        process: This process; the main one encodes, and the others wait.
    """

    def __init__(self, folder: Path, batch_tokens: int, process: World) -> None:
        self._folder = folder
        self._batch_tokens = batch_tokens
        self._process = process

    def states(self, encoder: Encoder, split: Split, layers: Sequence[int]) -> States:
        """Return the states of a split by layer: 0 the embeddings, L the last.

        Raises:
            DivergedError: NaN or infinity among them.
        """
        place = self._folder / content_key(encoder, split.windows, layers)
        if self._process.is_main and _opened(place, split, layers) is None:
            self._encode(encoder, split, layers, place)
        self._process.barrier()
        found = _opened(place, split, layers)
        if found is None:
            raise XlingError(f"{place}: not there; was it deleted by another process?")
        _check_finite(found, split)
        return found

    def _encode(self, encoder: Encoder, split: Split, layers: Sequence[int], place: Path) -> None:
        windows = split.windows
        encoder.moved_to(self._process.device)
        parts = packed(windows.sentence_lengths, np.arange(len(windows)), self._batch_tokens)
        batches = hidden_states(encoder, windows, (windows.rows_of(part) for part in parts))
        arrays: dict[int, NDArray[np.float32]] = {}
        label = f"Encoding {split.language} {split.name}"
        with (
            atomic_folder(place) as temporary,
            bar(label, len(windows.lengths), "sentences") as advance,
        ):
            for rows, batch, hidden in batches:
                real_BL = torch.from_numpy(batch.real_BL)
                for layer in layers:
                    states = hidden[layer].float().cpu()[real_BL].numpy()
                    if layer not in arrays:
                        shape = (len(windows.ids), states.shape[1])
                        arrays[layer] = new_array(temporary / layer_file(layer), shape)
                    arrays[layer][batch.tokens_BL[batch.real_BL]] = states
                advance(len(rows))
            for array in arrays.values():
                array.flush()  # type: ignore[attr-defined]


def _opened(place: Path, split: Split, layers: Sequence[int]) -> States | None:
    """Map the arrays of a folder; None if one is missing or not as long as it should be."""
    try:
        found = {
            layer: np.lib.format.open_memmap(place / layer_file(layer), "r") for layer in layers
        }
    except (OSError, ValueError):
        return None
    whole = all(len(array) == len(split.windows.ids) for array in found.values())
    return found if whole else None


def _check_finite(states: States, split: Split) -> None:
    for layer, array in states.items():
        broken = broken_rows(array)
        if broken:
            raise DivergedError(
                f"{split.language} {split.name}: layer {layer} gives NaN or infinity for {broken} "
                f"of {len(array)} tokens: the model has diverged; take an earlier checkpoint"
            )


def content_key(encoder: Encoder, windows: Windows, layers: Sequence[int]) -> str:
    """Hash what the states depend on: the encoder, token ids and where rows begin."""
    what = f"{encoder_hash(encoder)} {sorted(layers)}"
    digest = hashlib.blake2b(what.encode(), digest_size=16)
    for array in (windows.ids.astype(np.int32), windows.types, windows.starts):
        if array is not None:
            digest.update(array.tobytes())
    return digest.hexdigest()
