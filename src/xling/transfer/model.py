"""What is trained: an encoder, or new layers on its frozen states, and a task's head."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from xling.encoders.encoder import Encoder
from xling.encoders.representations import forward
from xling.randomness import derive_seed
from xling.transfer.batching import Batch


class FullEncoder(nn.Module):
    """The last hidden states of an encoder.

    Args:
        encoder: Its body is run; the module holds no copy.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.body = encoder.body

    def forward(self, batch: Batch) -> Tensor:
        """Return hidden states [B, L, d]."""
        output = forward(self.body, batch.ids_BL, batch.mask_BL, **batch.inputs)
        hidden_BLD: Tensor = output.last_hidden_state
        return hidden_BLD


class UsedRows(nn.Module):
    """The rows of an embedding table that some texts use, to be trained in place of the table.

    A row that no text uses gets no gradient and enters no result, whatever the optimizer does to
    it (of Adam's update nothing is left without a gradient; decay shrinks it). So training these
    rows alone gives what training the table would, in steps as short as if it had no others.

    Args:
        table: The whole table, which stays as it is.
        ids: The rows' numbers, sorted, int64 [U].
    """

    def __init__(self, table: nn.Embedding, ids: Tensor) -> None:
        super().__init__()
        ids = ids.to(table.weight.device)
        self.weight = nn.Parameter(table.weight.detach()[ids].clone())
        # Rows that are not there lie past the end: to ask for one is an error.
        places = torch.full((table.num_embeddings,), len(ids), device=ids.device)
        places[ids] = torch.arange(len(ids), device=ids.device)
        self.places: Tensor
        self.register_buffer("places", places, persistent=False)
        padding = table.padding_idx
        at = None if padding is None else int(places[padding])
        self.padding_idx = at if at != len(ids) else None  # whose gradient is zero

    @staticmethod
    def can_replace(table: nn.Module) -> bool:
        """Tell whether a module is a plain table, which gives the rows of ids and no more."""
        return type(table) is nn.Embedding and table.max_norm is None and not table.sparse

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ids, as the table would."""
        return F.embedding(self.places[ids], self.weight, self.padding_idx)


class NewLayers(nn.Module):
    """Untrained post-norm transformer layers on states read from a cache.

    Conneau et al. 2020, section 5.1.2.

    Args:
        width: Of the states.
        heads: Attention heads.
        feed_forward: Width of the feed-forward sublayers.
        dropout: On attention and sublayers.
        count: Number of layers.
    """

    def __init__(
        self, width: int, heads: int, feed_forward: int, dropout: float, count: int
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, feed_forward, dropout, activation="gelu", batch_first=True
            )
            for _ in range(count)
        )
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, states_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Return hidden states [B, L, d]."""
        padding_BL = mask_BL == 0
        for layer in self.layers:
            states_BLD = layer(states_BLD, src_key_padding_mask=padding_BL)
        return states_BLD


class CachedEncoder(nn.Module):
    """New layers on the cached states of one language's windows.

    Args:
        states: float32 array [T, d], one row per token; may be mapped from a file.
        layers: Shared by all languages.
        move: Leads the states into the space that the layers were trained in, as a matrix
            [d, e] and a shift [e]; None if they lie there.
    """

    def __init__(
        self,
        states: NDArray[np.float32],
        layers: NewLayers,
        move: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.states = states
        self.layers = layers
        self.move = move

    def forward(self, batch: Batch) -> Tensor:
        """Return hidden states [B, L, d]."""
        states_BLD = torch.from_numpy(self.states[batch.tokens_BL]).to(batch.mask_BL.device)
        if self.move is not None:
            matrix_DE, shift_E = self.move
            states_BLD = states_BLD @ matrix_DE + shift_E
        hidden_BLD: Tensor = self.layers(states_BLD, batch.mask_BL)
        return hidden_BLD


def seeded(seed: int, purpose: str, make: Callable[[], nn.Module]) -> nn.Module:
    """Make a module whose initial weights are a pure function of seed and purpose."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, purpose) % 2**63)
        return make()
