"""The architecture of an encoder: its shape, and the modules of each part of a sharing plan."""

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.model.sharing import HEAD, LANGUAGE, NORM, POSITIONS, TOKENS, sublayer_part

if TYPE_CHECKING:
    from transformers import BertConfig


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
        )


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
