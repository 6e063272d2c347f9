"""The architectures: which class of transformers is trained, and where its parts are.

Everything that differs between BERT, XLM-R, ModernBERT and Llama is in this file. In short:

===========  ==================  =========  ===================  ==================================
settings     positions           objective  feed-forward         head (``head`` of a sharing plan)
===========  ==================  =========  ===================  ==================================
bert         learned,            mlm        two matrices, GELU   dense layer, GELU and norm
             sinusoidal, rotary
xlm-roberta  learned,            mlm        two matrices, GELU   dense layer, GELU and norm
             sinusoidal
modernbert   rotary              mlm        gated (GeGLU)        final norm; dense, GELU and norm
llama        rotary              clm        gated (SwiGLU)       final norm
===========  ==================  =========  ===================  ==================================

The norm that follows the last layer of ModernBERT and Llama belongs to the head: the last layer's
hidden states are taken after it, as transformers does.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from xling.errors import XlingError
from xling.model.sharing import HEAD, LANGUAGE, NORM, POSITIONS, TOKENS, sublayer_part

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PretrainedConfig, PreTrainedModel

    from xling.model.architecture import ModelShape

Architecture = Literal["bert", "xlm-roberta", "modernbert", "llama"]
Positions = Literal["learned", "sinusoidal", "rotary"]
Objective = Literal["mlm", "clm"]
LOGITS_AT_ONCE = 1 << 27  # most that a decoder holds: `xling.model.loss`
# Key of a configuration for the kind of positions, where the model's class has learned ones.
POSITIONS_MARK = "xling_positions"
WAVES_MARK = "xling_wave_size"  # and their root mean square, where they are sinusoidal


class Anatomy(ABC):
    """One architecture.

    Attributes:
        model_type: What its configuration in transformers says it is.
        model_class: The class in transformers that is trained and saved.
        objective: ``mlm``: predict masked tokens; ``clm``: predict each row's next token.
        embeddings: What its embeddings consist of: parts of a sharing plan to paths of modules or
            parameters. The output layer goes with the tokens: its weight is tied to them and its
            bias has one entry per token.
        layers: Path of the list of layers.
        sublayers: Names of the modules of a layer's attention, and of its feed-forward.
        head: Paths of the rest, between the last layer and the output layer.
        gated: Whether the feed-forward has three matrices instead of two.
        transforms: Whether the head has a dense layer.
    """

    model_type: ClassVar[str]
    model_class: ClassVar[str]
    objective: ClassVar[Objective] = "mlm"
    embeddings: ClassVar[dict[str, tuple[str, ...]]]
    layers: ClassVar[str]
    sublayers: ClassVar[dict[str, tuple[str, ...]]]
    head: ClassVar[tuple[str, ...]]
    gated: ClassVar[bool] = False
    transforms: ClassVar[bool] = True

    @abstractmethod
    def settings(self, shape: "ModelShape") -> dict[str, Any]:
        """Return the fields of the configuration that other architectures call otherwise."""

    @abstractmethod
    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        """Return the last hidden states [P, D] of some positions of full rows, for the head.

        Args:
            model: One of ``model_class``.
            ids_BT: Token ids, no padding.
            positions_P: Which positions, as indices into the flattened ``B*T``.
            position_ids_BT: The position of each token, from 0; its column if None.
        """

    @abstractmethod
    def logits(self, model: Any, hidden_PD: "Tensor") -> "Tensor":
        """Return what the head and the output layer make of hidden states: [P, V]."""

    def loss(
        self,
        model: Any,
        hidden_PD: "Tensor",
        labels_P: "Tensor",
        others_V: "Tensor | None" = None,
    ) -> "Tensor":
        """Return the summed cross-entropy of what the model predicts at some positions.

        Args:
            model: One of ``model_class``.
            hidden_PD: What ``predicted`` returned.
            labels_P: The true ids.
            others_V: Ids that may not be predicted, bool; None excludes none.
        """
        import torch.nn.functional as F

        logits_PV = self.logits(model, hidden_PD)
        if others_V is not None:
            logits_PV = logits_PV.masked_fill(others_V, float("-inf"))
        return F.cross_entropy(logits_PV.float(), labels_P, reduction="sum")

    def config(self, shape: "ModelShape", vocabulary_size: int) -> "PretrainedConfig":
        """Return the transformers configuration of a shape, for one vocabulary size."""
        common = {
            "vocab_size": vocabulary_size,
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "intermediate_size": shape.feed_forward,
            "max_position_embeddings": shape.max_length,
            "initializer_range": shape.initializer_range,
        }
        config_class: Any = self.opened_by().config_class
        config: PretrainedConfig = config_class(**{**common, **self.settings(shape)})
        return config

    def opened_by(self) -> Any:
        """Return the class in transformers."""
        import transformers

        return getattr(transformers, self.model_class)

    def max_length(self, config: Any) -> int:
        """Return how many tokens, special ones included, a model has positions for."""
        length: int = config.max_position_embeddings
        return length

    def paths(self, layers: int) -> dict[str, tuple[str, ...]]:
        """Map every part to the paths of the modules or parameters that it holds.

        Each parameter of the model lies under exactly one part. Parts that the architecture does
        not have, such as a table of positions, are not among them.
        """
        paths = {**self.embeddings, HEAD: self.head}
        for layer in range(1, layers + 1):
            stem = f"{self.layers}.{layer - 1}"
            for sublayer, names in self.sublayers.items():
                paths[sublayer_part(layer, sublayer)] = tuple(f"{stem}.{name}" for name in names)
        return paths

    def on_whole_rows(self, model: "nn.Module") -> "list[nn.Module]":
        """Return the modules that process every position; they do most of the work."""
        stack = list(model.get_submodule(self.layers).children())
        attention = self.sublayers["attention"][-1]
        return [*stack[:-1], stack[-1].get_submodule(attention)]


class _Bert(Anatomy):
    """BERT, and models built from the same modules under other names."""

    model_type = "bert"
    model_class = "BertForMaskedLM"
    body = "bert"
    embeddings: ClassVar = {
        TOKENS: (
            "bert.embeddings.word_embeddings",
            "cls.predictions.decoder",
            "cls.predictions.bias",
        ),
        POSITIONS: ("bert.embeddings.position_embeddings",),
        # There is one token type, so its embedding is added to every token of a language.
        LANGUAGE: ("bert.embeddings.token_type_embeddings",),
        NORM: ("bert.embeddings.LayerNorm",),
    }
    layers = "bert.encoder.layer"
    sublayers: ClassVar = {"attention": ("attention",), "feed-forward": ("intermediate", "output")}
    head: ClassVar[tuple[str, ...]] = ("cls.predictions.transform",)

    def settings(self, shape: "ModelShape") -> dict[str, Any]:
        marks = {}
        if shape.positions == "sinusoidal":
            marks = {POSITIONS_MARK: shape.positions, WAVES_MARK: shape.wave_size}
        return {
            "hidden_dropout_prob": shape.dropout,
            "attention_probs_dropout_prob": shape.dropout,
            "type_vocab_size": 1,
            **marks,
        }

    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        body = getattr(model, self.body)
        *layers, last = body.encoder.layer
        hidden_BTD = body.embeddings(ids_BT, position_ids=position_ids_BT)
        for layer in layers:
            hidden_BTD = layer(hidden_BTD)
        attended_BTD, _ = last.attention(hidden_BTD)
        attended_PD = _rows(attended_BTD, positions_P)
        hidden_PD: Tensor = last.output(last.intermediate(attended_PD), attended_PD)
        return hidden_PD

    def logits(self, model: Any, hidden_PD: "Tensor") -> "Tensor":
        logits_PV: Tensor = model.cls(hidden_PD)
        return logits_PV


class _RoFormer(_Bert):
    """BERT whose queries and keys are rotated by their positions (Su et al. 2021)."""

    model_type = "roformer"
    model_class = "RoFormerForMaskedLM"
    body = "roformer"
    embeddings: ClassVar = {
        TOKENS: ("roformer.embeddings.word_embeddings", *_Bert.embeddings[TOKENS][1:]),
        # The table of its waves, which is not trained
        POSITIONS: ("roformer.encoder.embed_positions",),
        LANGUAGE: ("roformer.embeddings.token_type_embeddings",),
        NORM: ("roformer.embeddings.LayerNorm",),
    }
    layers = "roformer.encoder.layer"

    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        body = model.roformer
        *layers, last = body.encoder.layer
        hidden_BTD = body.embeddings(ids_BT)
        waves = body.encoder.embed_positions(ids_BT.shape, position_ids=position_ids_BT)
        # One for all rows or one per row; the same for all heads
        waves = waves[None, None] if position_ids_BT is None else waves[:, None]
        for layer in layers:
            hidden_BTD = layer(hidden_BTD, sinusoidal_pos=waves)[0]
        attended_PD = _rows(last.attention(hidden_BTD, sinusoidal_pos=waves)[0], positions_P)
        hidden_PD: Tensor = last.output(last.intermediate(attended_PD), attended_PD)
        return hidden_PD


class _XlmRoberta(_Bert):
    """XLM-R (Conneau et al. 2020b): BERT whose positions are counted from the padding id + 1."""

    model_type = "xlm-roberta"
    model_class = "XLMRobertaForMaskedLM"
    body = "roberta"
    embeddings: ClassVar = {
        TOKENS: ("roberta.embeddings.word_embeddings", "lm_head.decoder", "lm_head.bias"),
        POSITIONS: ("roberta.embeddings.position_embeddings",),
        LANGUAGE: ("roberta.embeddings.token_type_embeddings",),
        NORM: ("roberta.embeddings.LayerNorm",),
    }
    layers = "roberta.encoder.layer"
    head = ("lm_head.dense", "lm_head.layer_norm")

    def settings(self, shape: "ModelShape") -> dict[str, Any]:
        special = _special_ids()
        return {
            **super().settings(shape),
            **special,
            "max_position_embeddings": shape.max_length + special["pad_token_id"] + 1,
            "layer_norm_eps": 1e-5,  # as published; the class has BERT's
        }

    def max_length(self, config: Any) -> int:
        length: int = config.max_position_embeddings - config.pad_token_id - 1
        return length

    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        columns = _columns(ids_BT) if position_ids_BT is None else position_ids_BT
        return super().predicted(
            model, ids_BT, positions_P, columns + (model.config.pad_token_id + 1)
        )

    def logits(self, model: Any, hidden_PD: "Tensor") -> "Tensor":
        logits_PV: Tensor = model.lm_head(hidden_PD)
        return logits_PV


class _ModernBert(Anatomy):
    """ModernBERT (Warner et al. 2024): rotary positions, norms before sublayers, local attention.

    Two of three layers attend only to the 64 neighbours on either side, and their rotary positions
    have shorter wavelengths; queries, keys and values are one matrix.
    """

    model_type = "modernbert"
    model_class = "ModernBertForMaskedLM"
    embeddings: ClassVar = {
        TOKENS: ("model.embeddings.tok_embeddings", "decoder"),
        NORM: ("model.embeddings.norm",),
    }
    layers = "model.layers"
    sublayers: ClassVar = {"attention": ("attn_norm", "attn"), "feed-forward": ("mlp_norm", "mlp")}
    head = ("model.final_norm", "head")
    gated = True

    def settings(self, shape: "ModelShape") -> dict[str, Any]:
        special = _special_ids()
        return {
            **special,
            "cls_token_id": special["bos_token_id"],
            "sep_token_id": special["eos_token_id"],
            "embedding_dropout": shape.dropout,
            "attention_dropout": shape.dropout,
            "mlp_dropout": shape.dropout,
            "hidden_dropout_prob": shape.dropout,  # for layers put on top
        }

    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        from transformers.masking_utils import create_bidirectional_sliding_window_mask

        body = model.model
        *layers, last = body.layers
        hidden_BTD = body.embeddings(ids_BT)
        columns = _columns(ids_BT) if position_ids_BT is None else position_ids_BT
        inputs = {
            kind: {
                "position_embeddings": body.rotary_emb(hidden_BTD, columns, kind),
                "attention_mask": create_bidirectional_sliding_window_mask(
                    model.config, hidden_BTD, None
                )
                if kind == "sliding_attention"
                else None,
            }
            for kind in {layer.attention_type for layer in body.layers}
        }
        for layer in layers:
            hidden_BTD = layer(hidden_BTD, **inputs[layer.attention_type])
        attended_BTD, _ = last.attn(last.attn_norm(hidden_BTD), **inputs[last.attention_type])
        hidden_PD = _rows(hidden_BTD + attended_BTD, positions_P)
        hidden_PD = hidden_PD + last.mlp(last.mlp_norm(hidden_PD))
        normed_PD: Tensor = body.final_norm(hidden_PD)
        return normed_PD

    def logits(self, model: Any, hidden_PD: "Tensor") -> "Tensor":
        logits_PV: Tensor = model.decoder(model.head(hidden_PD))
        return logits_PV


class _Llama(Anatomy):
    """Llama (Touvron et al. 2023): a decoder, in which a token sees only those before it.

    Dropout applies to attention only; the class has no other place for it.
    """

    model_type = "llama"
    model_class = "LlamaForCausalLM"
    objective = "clm"
    embeddings: ClassVar = {TOKENS: ("model.embed_tokens", "lm_head")}
    layers = "model.layers"
    sublayers: ClassVar = {
        "attention": ("input_layernorm", "self_attn"),
        "feed-forward": ("post_attention_layernorm", "mlp"),
    }
    head = ("model.norm",)
    gated = True
    transforms = False

    def settings(self, shape: "ModelShape") -> dict[str, Any]:
        return {
            **_special_ids(),
            "attention_dropout": shape.dropout,
            "hidden_dropout_prob": shape.dropout,  # for layers put on top
            "tie_word_embeddings": shape.tied_output,
        }

    def predicted(
        self,
        model: Any,
        ids_BT: "Tensor",
        positions_P: "Tensor",
        position_ids_BT: "Tensor | None" = None,
    ) -> "Tensor":
        body = model.model
        hidden_BTD = body.embed_tokens(ids_BT)
        columns = _columns(ids_BT) if position_ids_BT is None else position_ids_BT
        turns = body.rotary_emb(hidden_BTD, position_ids=columns)
        # Without a mask its attention is causal
        for layer in body.layers:
            hidden_BTD = layer(hidden_BTD, position_embeddings=turns)
        normed_PD: Tensor = body.norm(_rows(hidden_BTD, positions_P))
        return normed_PD

    def logits(self, model: Any, hidden_PD: "Tensor") -> "Tensor":
        logits_PV: Tensor = model.lm_head(hidden_PD)
        return logits_PV

    def loss(
        self,
        model: Any,
        hidden_PD: "Tensor",
        labels_P: "Tensor",
        others_V: "Tensor | None" = None,
    ) -> "Tensor":
        """Return the summed cross-entropy; logits of all positions at once would not fit."""
        from xling.model.loss import chunked_cross_entropy

        return chunked_cross_entropy(hidden_PD, model.lm_head.weight, labels_P, others_V)

    def on_whole_rows(self, model: "nn.Module") -> "list[nn.Module]":
        return list(model.get_submodule(self.layers).children())


def _rows(hidden_BTD: "Tensor", positions_P: "Tensor") -> "Tensor":
    """Return the hidden states [P, D] of some positions."""
    return hidden_BTD.flatten(0, 1).index_select(0, positions_P)


def _columns(ids_BT: "Tensor") -> "Tensor":
    """Return the positions of a full row, from 0: [1, T]."""
    import torch

    return torch.arange(ids_BT.shape[1], device=ids_BT.device)[None]


def _special_ids() -> dict[str, int]:
    from xling.vocabulary.bpe import CLS, PAD, SEP

    return {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}


# By architecture and kind of positions; an architecture's first is its default.
ANATOMIES: dict[tuple[Architecture, Positions], Anatomy] = {
    ("bert", "learned"): _Bert(),
    ("bert", "sinusoidal"): _Bert(),
    ("bert", "rotary"): _RoFormer(),
    ("xlm-roberta", "learned"): _XlmRoberta(),
    ("xlm-roberta", "sinusoidal"): _XlmRoberta(),
    ("modernbert", "rotary"): _ModernBert(),
    ("llama", "rotary"): _Llama(),
}


def positions_of(architecture: Architecture) -> tuple[Positions, ...]:
    """Return the kinds of positions that an architecture can have, the default first."""
    return tuple(positions for name, positions in ANATOMIES if name == architecture)


def anatomy_of(config: Any) -> Anatomy:
    """Return the anatomy of a model by its configuration.

    Raises:
        XlingError: families do not support its architecture.
    """
    found = {anatomy.model_type: anatomy for anatomy in ANATOMIES.values()}
    kind = getattr(config, "model_type", None)
    if kind not in found:
        raise XlingError(
            f"a model of the type {kind!r} in a family; expected one of {', '.join(found)}"
        )
    return found[kind]


def fused_attention(model: "PreTrainedModel") -> bool:
    """Tell whether a model's attention is a function of transformers that can be replaced."""
    kinds = {anatomy.model_type for anatomy in ANATOMIES.values()} | {"roberta"}
    return model.config.model_type in kinds - {_RoFormer.model_type}
