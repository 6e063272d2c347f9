"""The architecture of an encoder: its shape, and the modules of each part of a sharing plan."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from xling.errors import XlingError
from xling.model.sharing import (
    HEAD,
    LANGUAGE,
    NORM,
    POSITIONS,
    TOKENS,
    SharingPlan,
    sublayer_part,
)

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import BertConfig

# What a model's configuration calls the kind of its positions, where they are not learned.
_MARK = "xling_positions"


class ModelShape(BaseModel):
    """The shape of every encoder of a family; the defaults are the paper's.

    Conneau et al. 2020, section 3.1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(8, ge=1, description="transformer layers, not counting the embeddings")
    heads: int = Field(12, ge=1, description="attention heads per layer")
    hidden: int = Field(768, ge=1, description="width d of the hidden states")
    feed_forward: int = Field(3072, ge=1, description="width of the feed-forward sublayer")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="dropout of embeddings, attention and sublayers"
    )
    max_length: int = Field(
        256, ge=8, description="number of learned positions, including special tokens"
    )
    positions: Literal["learned", "sinusoidal"] = Field(
        "learned",
        description="learned: a table of weights; sinusoidal: the fixed waves of Vaswani et al. "
        "2017, without parameters, so that positions mean the same in all languages",
    )
    first_positions: Literal["own", "same"] = Field(
        "own",
        description="where each language has a learned table of its own: the tables begin with "
        "own random weights, or all with the same",
    )
    initializer_range: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the first weights, by default BERT's; the smaller "
        "it is, the more the languages come to share (docs/demo.md)",
    )

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self

    @model_validator(mode="after")
    def _first_weights_are_of_learned_positions(self) -> Self:
        if self.positions != "learned" and self.first_positions != "own":
            raise ValueError("first_positions needs positions: learned (others have no weights)")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Jobs are named by their settings: what was made before these two existed stays current.
        usual = {"positions": "learned", "first_positions": "own"}
        return {name: value for name, value in handler(self).items() if usual.get(name) != value}

    def check_plan(self, plan: SharingPlan) -> None:
        """Refuse a sharing plan that speaks of weights which this shape does not have.

        Raises:
            XlingError: position embeddings of each language alone, where there are none to learn,
                or tables that are to begin equal where there is only one.
        """
        if self.positions != "learned" and plan.separate == {POSITIONS}:
            raise XlingError(
                f"separate: embeddings.positions, but model.positions: {self.positions} has no "
                "weights that languages could have separately; use positions: learned"
            )
        if self.first_positions == "same" and not plan.separates(POSITIONS):
            raise XlingError(
                "model.first_positions: same, but all languages share one table of positions; add "
                "embeddings or embeddings.positions to separate"
            )

    def bert_config(self, vocabulary_size: int) -> "BertConfig":
        """Return the ``transformers.BertConfig`` of this shape for one vocabulary size."""
        from transformers import BertConfig

        return BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.feed_forward,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            max_position_embeddings=self.max_length,
            type_vocab_size=1,
            initializer_range=self.initializer_range,
            **({} if self.positions == "learned" else {_MARK: self.positions}),
        )


def set_positions(model: "nn.Module") -> None:
    """Write the fixed table of positions into a BERT whose configuration says it has one.

    The table is an ordinary one that does not learn, so that any BERT code opens the saved model.

    Args:
        model: Any BERT, with or without a head; one with learned positions is left as it is.
    """
    config: Any = model.config
    if getattr(config, _MARK, "learned") != "sinusoidal":
        return
    table: Any = next(
        module for name, module in model.named_modules() if name.endswith("position_embeddings")
    )
    waves = sinusoids(*table.weight.shape, scale=config.initializer_range)
    table.weight.data.copy_(waves)
    table.weight.requires_grad_(False)


def sinusoids(length: int, width: int, scale: float) -> "torch.Tensor":
    """Return the fixed positions of Vaswani et al. 2017, section 3.5, in the size of first weights.

    Args:
        length: Number of positions.
        width: Of the hidden states; sines stand at its even places, cosines at its odd ones.
        scale: Root mean square of each row, for which models take the size of first weights: the
            published waves have a mean square of 1/2, far above the first token embeddings.

    Returns:
        float32 [length, width].
    """
    import torch

    place_T1 = torch.arange(length, dtype=torch.float64)[:, None]
    frequency_D = 10_000.0 ** (-2 * (torch.arange(width) // 2).double() / width)
    angle_TD = place_T1 * frequency_D
    waves_TD = torch.where(torch.arange(width) % 2 == 0, angle_TD.sin(), angle_TD.cos())
    return (scale * 2**0.5 * waves_TD).float()


def bert_anatomy(layers: int) -> dict[str, tuple[str, ...]]:
    """Map every part to the paths of the modules or parameters of ``BertForMaskedLM`` it holds.

    Each parameter of the model lies under exactly one part. The output layer goes with the
    tokens: its weight is tied to them and its bias has one entry per token.
    """
    embeddings, predictions = "bert.embeddings", "cls.predictions"
    paths: dict[str, tuple[str, ...]] = {
        TOKENS: (
            f"{embeddings}.word_embeddings",
            f"{predictions}.decoder",
            f"{predictions}.bias",
        ),
        POSITIONS: (f"{embeddings}.position_embeddings",),
        # Every token is of one type, so the type's embedding is added to all of a language's.
        LANGUAGE: (f"{embeddings}.token_type_embeddings",),
        NORM: (f"{embeddings}.LayerNorm",),
        HEAD: (f"{predictions}.transform",),
    }
    for layer in range(1, layers + 1):
        stem = f"bert.encoder.layer.{layer - 1}"
        paths[sublayer_part(layer, "attention")] = (f"{stem}.attention",)
        paths[sublayer_part(layer, "feed-forward")] = (f"{stem}.intermediate", f"{stem}.output")
    return paths
