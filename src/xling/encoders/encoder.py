"""Any Hugging Face model as one language's side of a comparison."""

from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file
from xling.device import choose_device, enough_memory
from xling.encoders.opening import (
    check_fit,
    is_local,
    load_config,
    load_model,
    saved_form,
    small_files,
    text_part,
)
from xling.encoders.tokenizer import load_tokenizer
from xling.errors import XlingError
from xling.files import read_json, write_json
from xling.model.folder import TOKENIZER, TOKENIZER_CONFIG, stored_precision
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from xling.model.family import Family


@dataclass(frozen=True, eq=False)
class Encoder:
    """A model and its tokenizer, used for one language.

    Attributes:
        language: Language code, e.g. ``"fr"``.
        model: Any encoder of transformers (BERT, XLM-R, ModernBERT, ...) or decoder-only model
            (Llama, Qwen, Gemma, GPT-2, ...), with or without a task head; the head is never run.
            Of an encoder-decoder (T5, BART, NLLB) it is the encoder alone.
        tokenizer: Its fast tokenizer.
        stored: Precision in which the weights were stored, e.g. ``"float16"``, if it differs from
            the one used for computing.
    """

    language: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    stored: str | None = None

    @property
    def body(self) -> "PreTrainedModel":
        """The model without its head."""
        body: PreTrainedModel = self.model.base_model  # type: ignore[assignment]
        return body

    @property
    def maximum_length(self) -> int:
        """Maximum number of tokens, special ones included, that the model has positions for."""
        limit = int(min(self.tokenizer.model_max_length, 1 << 30))
        config = self.model.config
        positions = getattr(config, "max_position_embeddings", None)
        if isinstance(positions, int) and positions > 0:
            table = getattr(getattr(self.body, "embeddings", None), "position_embeddings", None)
            # RoBERTa and related models number positions from padding_idx + 1.
            padding = getattr(table, "padding_idx", None)
            limit = min(limit, positions if padding is None else positions - padding - 1)
        return limit

    @property
    def padding(self) -> int:
        """The id of padding, which is masked: the end-of-text id if there is no padding token."""
        for found in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if isinstance(found, int):
                return found
        return 0

    @property
    def special_ids(self) -> list[int]:
        """Ids of [CLS], [SEP] and the like, sorted; the unknown token is an ordinary one.

        But it is special where it also begins, ends or pads a text, as in OPT.
        """
        tokenizer = self.tokenizer
        ends = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        return sorted(set(tokenizer.all_special_ids) - ({tokenizer.unk_token_id} - ends))

    @property
    def rows(self) -> int:
        """How many token ids the model has embeddings for."""
        embeddings: Any = self.body.get_input_embeddings()
        return int(embeddings.weight.shape[0])

    @property
    def device(self) -> "torch.device":
        """The device of the model, where batches must be."""
        return next(self.body.parameters()).device

    @classmethod
    def load(
        cls,
        name: str | Path,
        language: str,
        device: "str | torch.device" = "cpu",
        trust_remote_code: bool = False,
    ) -> "Encoder":
        """Open a saved model (a folder, or a name on the Hugging Face hub).

        Weights are read from safetensors only, in float32.
        Head and decoder are left out. So is a pooler without weights, as in a masked language
        model: it would be random, and xling never uses it.

        Args:
            name: The folder, or the name.
            language: The language it is used for.
            device: Where it will run, see :func:`xling.device.choose_device`.
            trust_remote_code: Whether Python code shipped with a model is run.

        Raises:
            XlingError: it lacks a part, is damaged, is no model of text, or its parts do not
                belong together; this machine has no such device.
        """
        place = choose_device(device)
        local = is_local(name)
        files = small_files(name, local)
        config = load_config(name, local, trust_remote_code)
        tokenizer = load_tokenizer(
            name, files.get(TOKENIZER), TOKENIZER_CONFIG in files, local, trust_remote_code
        )
        model = load_model(name, config, local, trust_remote_code)
        check_fit(name, model.base_model, tokenizer)
        return cls(language, model, tokenizer, stored_precision(files)).moved_to(place)

    @classmethod
    def of_objects(cls, model: Any, tokenizer: Any, language: str) -> "Encoder":
        """Return an encoder from a model of transformers (or its encoder) and its tokenizer.

        Raises:
            XlingError: they are something else, or do not belong together.
        """
        from transformers import PreTrainedModel

        name = type(model).__name__
        if not isinstance(model, PreTrainedModel):
            raise XlingError(f"{name}: no model of transformers; expected what AutoModel opens")
        if not getattr(tokenizer, "is_fast", False):
            raise XlingError(
                f"{type(tokenizer).__name__}: no fast tokenizer of transformers; expected what "
                "AutoTokenizer opens"
            )
        encoder = cls(language, text_part(model), tokenizer)
        check_fit(name, encoder.body, tokenizer)
        return encoder

    def moved_to(self, device: "torch.device") -> "Encoder":
        """Move the model to a device, and return the encoder."""
        import torch

        with enough_memory(type(self.model).__name__):
            torch.nn.Module.to(self.model, device)
        return self

    def check_weights(self) -> None:
        """Refuse a model that has diverged, where its vectors are not checked one by one.

        Raises:
            XlingError: NaN or infinity among its weights.
        """
        for name, parameter in self.body.named_parameters():
            if not bool(parameter.isfinite().all()):
                raise XlingError(
                    f"{self.language}: the model's {name} holds NaN or infinity: it has diverged; "
                    "take an earlier checkpoint"
                )

    def save(self, folder: Path) -> None:
        """Write the model without its head, in the precision it was stored in, and the tokenizer.

        The tokenizer is saved under the one class that every version of transformers since 4.0
        opens from ``tokenizer.json`` as it is.

        Args:
            folder: Made if absent.

        Raises:
            XlingError: transformers would not open this model without its decoder.
        """
        import copy

        import torch

        body: Any = saved_form(self.body)
        if self.stored:
            body = copy.deepcopy(body).to(getattr(torch, self.stored))
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()  # how it was last used is not part of it
        backend.no_padding()
        with quiet_transformers():
            body.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        _name_tokenizer_for_all(folder / TOKENIZER_CONFIG, self)

    @classmethod
    def of_family(cls, family: "Family", folder: Path, language: str) -> "Encoder":
        """Return one language's encoder of a family that was opened from ``folder``.

        Raises:
            XlingError: no such language, or a tokenizer that is missing, damaged or does not fit.
        """
        model = family.member(language).eval()
        place = folder / language
        check_file(place / TOKENIZER)
        encoder = cls(language, model, load_tokenizer(place, place / TOKENIZER))
        check_fit(place, encoder.body, encoder.tokenizer)
        return encoder


def _name_tokenizer_for_all(path: Path, encoder: Encoder) -> None:
    """Rewrite a tokenizer configuration of transformers 5 so that version 4 also opens it."""
    content = read_json(path)
    extra = content.pop("extra_special_tokens", None)  # a list; version 4 expects a mapping
    if extra:
        content["additional_special_tokens"] = extra
    for key in ("backend", "is_local", "local_files_only"):
        content.pop(key, None)
    inputs = signature(encoder.body.forward).parameters
    content["model_input_names"] = [
        name for name in encoder.tokenizer.model_input_names if name in inputs
    ]
    if encoder.tokenizer.pad_token is None and encoder.tokenizer.eos_token is not None:
        content["pad_token"] = encoder.tokenizer.eos_token  # without one, no batch can be padded
    write_json(path, {**content, "tokenizer_class": "PreTrainedTokenizerFast"})
