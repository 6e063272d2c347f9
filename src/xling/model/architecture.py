"""The shape of a family's models, and what fixed positions are."""

from collections.abc import Mapping
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
from xling.model.anatomy import (
    ANATOMIES,
    POSITIONS_MARK,
    WAVES_MARK,
    Anatomy,
    Architecture,
    Objective,
    Positions,
    positions_of,
)
from xling.model.sharing import EMBEDDINGS, POSITIONS, SharingPlan

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PretrainedConfig


class ModelShape(BaseModel):
    """The shape of every model of a family; the defaults are the paper's.

    Conneau et al. 2020, section 3.1. Whatever no setting decides (activations, norms, how first
    weights are drawn) follows the architecture in transformers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture = Field(
        "bert",
        description="bert, xlm-roberta and modernbert are encoders, which learn by predicting "
        "masked tokens; llama is a decoder, which learns by predicting the next token",
    )

    layers: int = Field(8, ge=1, description="transformer layers, not counting the embeddings")
    heads: int = Field(12, ge=1, description="attention heads per layer")
    hidden: int = Field(768, ge=1, description="width d of the hidden states")
    feed_forward: int = Field(
        3072,
        ge=1,
        description="width of the feed-forward sublayer; that of modernbert and llama has three "
        "matrices of this width instead of two",
    )
    dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="dropout of embeddings, attention and sublayers; of llama, of attention only",
    )
    max_length: int = Field(256, ge=8, description="number of positions, including special tokens")
    positions: Positions = Field(
        "learned",
        description="learned: a table of weights; sinusoidal: the fixed waves of Vaswani et al. "
        "2017; rotary: queries and keys rotated by their position (Su et al. 2021). The last two "
        "have no parameters, so that positions mean the same in all languages. By default "
        "learned; modernbert and llama have rotary ones only",
    )
    first_positions: Literal["own", "same"] = Field(
        "own",
        description="where each language has its own table of learned positions: each table starts "
        "from its own random weights, or all from the same",
    )
    wave_size: float = Field(
        0.1,
        gt=0,
        description="root mean square of sinusoidal positions; the default is about what token "
        "embeddings grow to in training; far below that, a model does not see its positions",
    )
    initializer_range: float = Field(
        0.02,
        gt=0,
        description="standard deviation of the initial weights, by default BERT's; the smaller "
        "it is, the more the languages come to share (docs/demo.md)",
    )
    tied_output: bool = Field(
        True,
        description="whether the output layer has the weights of the token embeddings; false only "
        "for llama",
    )

    @model_validator(mode="before")
    @classmethod
    def _positions_are_the_architecture_s(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or "positions" in content:
            return content
        possible = positions_of(content.get("architecture", "bert"))
        return {**content, "positions": possible[0]} if possible else content

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.positions == "rotary" and self.hidden // self.heads % 2:
            raise ValueError(
                f"rotary positions turn pairs of numbers, but a head has {self.hidden} / "
                f"{self.heads} = {self.hidden // self.heads}; make that even"
            )
        return self

    @model_validator(mode="after")
    def _architecture_has_it(self) -> Self:
        possible = positions_of(self.architecture)
        if self.positions not in possible:
            raise ValueError(
                f"positions: {self.positions}, but architecture: {self.architecture} has "
                f"{' or '.join(possible)} ones"
            )
        if not self.tied_output and self.architecture != "llama":
            raise ValueError("tied_output: false needs architecture: llama")
        return self

    @model_validator(mode="after")
    def _positions_are_of_that_kind(self) -> Self:
        if self.positions != "learned" and self.first_positions != "own":
            raise ValueError("first_positions needs positions: learned (others have no weights)")
        usual = type(self).model_fields["wave_size"].default
        if self.positions != "sinusoidal" and self.wave_size != usual:
            raise ValueError("wave_size needs positions: sinusoidal (others have no waves)")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Settings name jobs: defaults are left out, so results from before these fields stay valid.
        usual: dict[str, object] = {
            "architecture": "bert",
            "positions": positions_of(self.architecture)[0],
            "first_positions": "own",
            "tied_output": True,
        }
        if self.positions != "sinusoidal":
            usual["wave_size"] = self.wave_size
        return {name: value for name, value in handler(self).items() if usual.get(name) != value}

    @property
    def anatomy(self) -> Anatomy:
        """Return where the parts of such a model are."""
        return ANATOMIES[self.architecture, self.positions]

    @property
    def objective(self) -> Objective:
        """Return the training objective of such a model."""
        return self.anatomy.objective

    def check_plan(self, plan: SharingPlan) -> None:
        """Refuse a sharing plan that names weights which this shape does not have.

        ``embeddings`` as a whole means those that exist.

        Raises:
            XlingError: a named part of the embeddings has no weights, or tables of positions are to
                start equal although there is only one.
        """
        named = plan.separate.intersection(EMBEDDINGS)
        lacking = {part for part in EMBEDDINGS if part not in self.anatomy.embeddings}
        if self.positions != "learned":
            lacking.add(POSITIONS)
        if named != set(EMBEDDINGS) and named & lacking:
            part = min(named & lacking)
            where = (
                f"model.positions: {self.positions}"
                if part == POSITIONS
                else f"model.architecture: {self.architecture}"
            )
            cure = (
                "; use positions: learned" if "learned" in positions_of(self.architecture) else ""
            )
            raise XlingError(
                f"separate: {part}, but {where} has no weights that languages could have "
                f"separately{cure if part == POSITIONS else ''}"
            )
        if self.first_positions == "same" and not plan.separates(POSITIONS):
            raise XlingError(
                "model.first_positions: same, but all languages share one table of positions; add "
                "embeddings or embeddings.positions to separate"
            )

    def config(self, vocabulary_size: int) -> "PretrainedConfig":
        """Return the transformers configuration of this shape for one vocabulary size."""
        return self.anatomy.config(self, vocabulary_size)


def set_positions(model: "nn.Module") -> None:
    """Write the fixed table of positions into a model whose configuration says it has one.

    It is an ordinary table that is not trained, so any code can open the saved model.

    Args:
        model: With or without a head; one with learned or rotary positions is left as it is.
    """
    config: Any = model.config
    if getattr(config, POSITIONS_MARK, "learned") != "sinusoidal":
        return
    table: Any = next(
        module for name, module in model.named_modules() if name.endswith("position_embeddings")
    )
    length, width = table.weight.shape
    # Models saved before `wave_size` existed have waves of the size of the initial weights.
    waves = sinusoids(length, width, getattr(config, WAVES_MARK, config.initializer_range))
    table.weight.data.copy_(waves)
    table.weight.requires_grad_(False)


def sinusoids(length: int, width: int, scale: float) -> "torch.Tensor":
    """Return the fixed positions of Vaswani et al. 2017, section 3.5, scaled to a given size.

    Args:
        length: Number of positions.
        width: Width of the hidden states; sines are at even indices, cosines at odd ones.
        scale: Root mean square of each row; in the paper it is the root of 1/2, with token
            embeddings of about 1.

    Returns:
        float32 [length, width].
    """
    import torch

    place_T1 = torch.arange(length, dtype=torch.float64)[:, None]
    frequency_D = 10_000.0 ** (-2 * (torch.arange(width) // 2).double() / width)
    angle_TD = place_T1 * frequency_D
    waves_TD = torch.where(torch.arange(width) % 2 == 0, angle_TD.sin(), angle_TD.cos())
    return (scale * 2**0.5 * waves_TD).float()
