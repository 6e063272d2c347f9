"""What is trained: all of a model, or new layers on its frozen states; and the modules for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.representations import forward
from xling.errors import XlingError
from xling.model.dropout import make_quick
from xling.randomness import derive_seed
from xling.transfer.batching import Batch
from xling.transfer.config import TransferConfig
from xling.transfer.features import FeatureCache
from xling.transfer.finetune import Learner
from xling.transfer.heads import FirstTokenHead
from xling.transfer.task import AnyTask, Split


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
    """The rows of an embedding table that some texts use, to be trained instead of the table.

    A row that no text uses gets no gradient and affects no result, whatever the optimizer does to
    it (without a gradient, Adam's update is zero; decay shrinks the row). So training these rows
    alone gives what training the table would, and steps take no time for the other rows.

    Args:
        table: The whole table, which stays as it is.
        ids: The rows' numbers, sorted, int64 [U].
    """

    def __init__(self, table: nn.Embedding, ids: Tensor) -> None:
        super().__init__()
        ids = ids.to(table.weight.device)
        self.weight = nn.Parameter(table.weight.detach()[ids].clone())
        # Unused ids point past the last row, so looking one up is an error.
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
        width: Width of the states.
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
        move: Maps the states into the space that the layers were trained in, as a matrix
            [d, e] and a shift [e]; None if they are in it already.
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


@dataclass(frozen=True, eq=False)
class StateMap:
    """The map from a model's states of one layer to another model's: ``states @ matrix + shift``.

    Attributes:
        layer: The layer that the states are of.
        matrix: float64 array [d, e].
        shift: float64 array [e].
    """

    layer: int
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]


# For a language and a layer of the source: the map from the language's own states to that layer's.
Maps = Mapping[str, Mapping[int, StateMap]]


class Regime(ABC):
    """Makes fresh learners, all from the same pretrained weights.

    Attributes:
        layers: Values of i to train for; only None in full fine-tuning.
    """

    layers: tuple[int | None, ...]

    @abstractmethod
    def learner(self, task: AnyTask, layer: int | None, seed: int) -> Learner:
        """Return a learner as it is before the first step; it replaces earlier ones."""

    @abstractmethod
    def close(self) -> None:
        """Put the encoders back as they were."""


class FullRegime(Regime):
    """Everything but what is private to the source language is trained.

    Of the table of embeddings, only the rows that the splits use are; see :class:`UsedRows`.

    Args:
        encoders: Of all languages.
        source: The language trained on.
        splits: Everything that will be trained or tested on.
        device: Where to compute.
    """

    layers = (None,)

    def __init__(
        self, encoders: Encoders, source: str, splits: Sequence[Split], device: torch.device
    ) -> None:
        for encoder in encoders.of.values():
            make_quick(encoder.body)
        self._bodies = {
            language: FullEncoder(encoder).to(device) for language, encoder in encoders.of.items()
        }
        self._source = self._bodies[source]
        self._device = device
        self._width: int = encoders.of[source].model.config.hidden_size
        private = {
            id(parameter)
            for name, parameter in encoders.of[source].model.named_parameters()
            if name in encoders.private
        }
        self._tables: list[_Slot] = []
        table = _input_table(encoders.of[source])
        if table is not None and id(table.weight) not in private:
            self._replace(table, splits)
        self._trained: dict[str, nn.Parameter] = {}
        for name, parameter in self._source.body.named_parameters():
            # A pooler takes no part in any task.
            trained = id(parameter) not in private and not name.startswith("pooler.")
            parameter.requires_grad_(trained)
            if trained:
                self._trained[name] = parameter
        self._pretrained = {name: p.detach().clone() for name, p in self._trained.items()}

    def learner(self, task: AnyTask, layer: int | None, seed: int) -> Learner:
        """Return a learner as it is before the first step; it replaces earlier ones.

        Raises:
            XlingError: a task whose head reads the first token, in a decoder.
        """
        self._put_back_weights()
        head = seeded(seed, "head", lambda: task.head(self._width)).to(self._device)
        if isinstance(head, FirstTokenHead) and _is_causal(self._source.body):
            raise XlingError(
                f"{task.name}: its head reads the first token, which in a decoder has seen no "
                f"other ({type(self._source.body).__name__}); use regime: feature, whose new "
                "layers see the whole text, or an encoder"
            )
        return Learner(
            encode=lambda split, batch: self._bodies[split.language](batch),
            body=self._trained,
            head=head,
            modules=(*self._bodies.values(), head),
        )

    def close(self) -> None:
        """Put back the pretrained weights, and the tables of embeddings."""
        self._put_back_weights()
        for slot in self._tables:
            setattr(slot.parent, slot.name, slot.table)
        self._tables = []

    @torch.no_grad()
    def _put_back_weights(self) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(self._pretrained[name])

    def _replace(self, table: nn.Embedding, splits: Sequence[Split]) -> None:
        """Replace a table by the rows that are used, wherever its weights are held."""
        slots = {code: _slots(body.body, table.weight) for code, body in self._bodies.items()}
        found = [slot for of_body in slots.values() for slot in of_body]
        if not all(UsedRows.can_replace(slot.table) for slot in found):
            return  # the weights are used in another way too
        windows = [split.windows for split in splits if slots[split.language]]
        used = np.concatenate([ids for each in windows for ids in (each.ids, [each.padding])])
        rows = UsedRows(table, torch.from_numpy(np.unique(used).astype(np.int64)))
        self._tables = found
        for slot in found:
            setattr(slot.parent, slot.name, rows)


def _is_causal(body: nn.Module) -> bool:
    """Tell whether a token sees only those before it."""
    return any(getattr(module, "is_causal", False) for module in body.modules())


class _Slot(NamedTuple):
    """Where a module is attached."""

    parent: nn.Module
    name: str
    table: nn.Module


def _slots(body: nn.Module, weight: Tensor) -> list[_Slot]:
    """Return the places of all modules that hold some weights."""
    return [
        _Slot(parent, name, child)
        for parent in body.modules()
        for name, child in parent._modules.items()
        if child is not None and any(own is weight for own in child.parameters(recurse=False))
    ]


def _input_table(encoder: Encoder) -> nn.Embedding | None:
    """Return the table that token ids are looked up in; None if it is of another class."""
    found = encoder.body.get_input_embeddings()
    return found if isinstance(found, nn.Embedding) else None


class FeatureRegime(Regime):
    """New layers on top of the first i layers, which stay as they are.

    Conneau et al. 2020, section 5.1.2.

    Args:
        encoders: Of all languages.
        source: The language trained on.
        config: Which layers, and how many new ones.
        cache: Holds frozen states on disk.
        splits: Everything that will be trained or tested on.
        device: Where to compute.
        maps: For a language and layer of the source the map from the language's own states into
            the source's space (two models that were trained apart).

    Raises:
        XlingError: layers that the model does not have.
    """

    def __init__(
        self,
        encoders: Encoders,
        source: str,
        config: TransferConfig,
        cache: FeatureCache,
        splits: list[Split],
        device: torch.device,
        maps: Maps | None = None,
    ) -> None:
        self._maps = maps or {}
        wanted = config.layers if config.layers is not None else tuple(self._possible(encoders))
        missing = sorted(set(wanted) - set(self._possible(encoders)))
        if missing:
            possible = ", ".join(map(str, self._possible(encoders)))
            raise XlingError(f"layers: those to learn on are {possible} (found {missing[0]})")
        self.layers = wanted
        self._model_config = encoders.of[source].model.config
        self._count = config.new_layers
        self._device = device
        self._states = {
            (split.language, split.name): cache.states(
                encoders.of[split.language],
                split,
                sorted({self._own_layer(split.language, layer) for layer in wanted}),
            )
            for split in splits
        }

    def learner(self, task: AnyTask, layer: int | None, seed: int) -> Learner:
        """Return a learner as it is before the first step; it replaces earlier ones."""
        assert layer is not None
        shape = self._model_config
        width = shape.hidden_size
        new = seeded(seed, "new layers", lambda: self._new_layers(shape)).to(self._device)
        head = seeded(seed, "head", lambda: task.head(width)).to(self._device)
        assert isinstance(new, NewLayers)
        encoders = {
            (*key, mapped): CachedEncoder(
                states[self._own_layer(key[0], layer)],
                new,
                self._move(key[0], layer) if mapped else None,
            )
            for key, states in self._states.items()
            for mapped in (True, False)
        }
        return Learner(
            encode=lambda split, batch: encoders[split.language, split.name, split.mapped](batch),
            body=dict(new.named_parameters()),
            head=head,
            modules=(new, head),
        )

    def close(self) -> None:
        """Do nothing: the encoders were never changed."""

    def _new_layers(self, shape: "object") -> nn.Module:
        width: int = shape.hidden_size  # type: ignore[attr-defined]
        heads: int = shape.num_attention_heads  # type: ignore[attr-defined]
        dropout: float = getattr(shape, "hidden_dropout_prob", 0.1)
        return NewLayers(width, heads, 4 * width, dropout, self._count)

    def _possible(self, encoders: Encoders) -> list[int]:
        depths = [
            encoder.model.config.num_hidden_layers
            for language, encoder in encoders.of.items()
            if language not in self._maps
        ]
        mapped = [set(layers) for layers in self._maps.values()]
        return sorted(set(range(min(depths) + 1)).intersection(*mapped))

    def _own_layer(self, language: str, layer: int) -> int:
        """Return the layer of a language's model that stands for one of the source's."""
        return self._maps[language][layer].layer if language in self._maps else layer

    def _move(self, language: str, layer: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        if language not in self._maps:
            return None
        found = self._maps[language][layer]
        matrix, shift = (
            torch.from_numpy(array.astype(np.float32)).to(self._device)
            for array in (found.matrix, found.shift)
        )
        return matrix, shift
