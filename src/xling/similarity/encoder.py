"""Any Hugging Face encoder as one language's side of a comparison."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.errors import XlingError
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@dataclass(frozen=True, eq=False)
class Encoder:
    """A model and its tokenizer, used for one language.

    Attributes:
        language: Language code, e.g. ``"fr"``.
        model: Any transformers encoder (BERT, XLM-R, ModernBERT, DistilBERT, ...), with or
            without a task head; the head is never run.
        tokenizer: Its fast tokenizer.
    """

    language: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"

    @property
    def body(self) -> "PreTrainedModel":
        """The model without its head."""
        body: PreTrainedModel = self.model.base_model  # type: ignore[assignment]
        return body

    @property
    def maximum_length(self) -> int:
        """Most tokens, special ones included, that the model has positions for."""
        limit = int(min(self.tokenizer.model_max_length, 1 << 30))
        config = self.model.config
        positions = getattr(config, "max_position_embeddings", None)
        if isinstance(positions, int) and positions > 0:
            table = getattr(getattr(self.body, "embeddings", None), "position_embeddings", None)
            # RoBERTa and its kin number positions from padding_idx + 1.
            padding = getattr(table, "padding_idx", None)
            limit = min(limit, positions if padding is None else positions - padding - 1)
        return limit

    @classmethod
    def load(cls, name: str | Path, language: str) -> "Encoder":
        """Open a saved encoder (a folder, or a name on the Hugging Face hub).

        Weights are read from safetensors only, in float32; code shipped with a model is not run.

        Raises:
            XlingError: if it cannot be opened, or has no fast tokenizer.
        """
        import torch
        from transformers import AutoModel, AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            with torch.random.fork_rng(devices=[]), quiet_transformers():
                # A masked-LM folder has no pooler: a random, unused one is made (hence the fork).
                model = AutoModel.from_pretrained(
                    name, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
                )
        except (OSError, ValueError) as error:
            raise XlingError(
                f"{name}: cannot be opened as an encoder ({error}); expected a Hugging Face "
                "folder with config.json, model.safetensors and tokenizer files"
            ) from error
        if not tokenizer.is_fast:
            raise XlingError(
                f"{name}: has no fast tokenizer (tokenizer.json); convert it with transformers"
            )
        return cls(language, model.eval(), tokenizer)
