"""Any Hugging Face encoder as one language's side of a comparison."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file
from xling.device import choose_device, enough_memory
from xling.errors import XlingError
from xling.files import read_json, write_json
from xling.model.folder import (
    CONFIG,
    SHARDS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    check_index,
    encoder_decoder,
    model_files,
    one_line,
    stored_precision,
)
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from xling.model.family import Family

logger = logging.getLogger(__name__)

_CANNOT = "cannot be opened as an encoder"
_EXPECTED = "expected a Hugging Face folder with config.json, model.safetensors and tokenizer files"
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
# A layer's number and what comes before it; what comes after names a part of any layer.
_LAYER = re.compile(r"^.*?\.\d+\.")
_SAMPLE = "The Quick brown fox ate 12,50 Äpfel in São Paulo; Кот спит. 你好,世界! สวัสดี abc def "


@dataclass(frozen=True, eq=False)
class Encoder:
    """A model and its tokenizer, used for one language.

    Attributes:
        language: Language code, e.g. ``"fr"``.
        model: Any transformers encoder (BERT, XLM-R, ModernBERT, DistilBERT, ...), with or
            without a task head; the head is never run.
        tokenizer: Its fast tokenizer.
        stored: In which precision the weights were stored, e.g. ``"float16"``, if in another than
            they are computed with.
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
        """Most tokens, special ones included, that the model has positions for."""
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
        """The id that fills up batches."""
        found = self.tokenizer.pad_token_id
        return 0 if found is None else int(found)

    @property
    def special_ids(self) -> list[int]:
        """Ids of [CLS], [SEP] and the like, sorted; the unknown token is an ordinary one."""
        return sorted(set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id})

    @property
    def rows(self) -> int:
        """How many token ids the model has embeddings for."""
        embeddings: Any = self.body.get_input_embeddings()
        return int(embeddings.weight.shape[0])

    @property
    def device(self) -> "torch.device":
        """Where the model is, and batches have to go."""
        return next(self.body.parameters()).device

    @classmethod
    def load(
        cls, name: str | Path, language: str, device: "str | torch.device" = "cpu"
    ) -> "Encoder":
        """Open a saved encoder (a folder, or a name on the Hugging Face hub).

        Weights are read from safetensors only, in float32; code shipped with a model is not run.
        A pooler that the weights lack, as those of a masked language model do, is left out: it
        would be random, and nothing here uses it.

        Args:
            name: The folder, or the name.
            language: Which language it is used for.
            device: Where it will run, see :func:`xling.device.choose_device`.

        Raises:
            XlingError: it lacks a part, is damaged, is no encoder, or its parts do not belong
                together; this machine has no such device.
        """
        place = choose_device(device)
        local = Path(name).exists() or isinstance(name, Path) or not _on_hub(name)
        files = _files(name, local)
        config = _load_config(name, local)
        tokenizer = load_tokenizer(name, files.get(TOKENIZER), TOKENIZER_CONFIG in files, local)
        model = _load_model(name, config, local)
        encoder = cls(language, model, tokenizer, stored_precision(files))
        _check_fit(name, encoder)
        return encoder.moved_to(place)

    @classmethod
    def of_objects(cls, model: Any, tokenizer: Any, language: str) -> "Encoder":
        """Return a model of transformers and its tokenizer, as they are, as an encoder.

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
        if model.config.is_encoder_decoder:
            raise XlingError(encoder_decoder(name, model.config.model_type))
        encoder = cls(language, model, tokenizer)
        _check_fit(name, encoder)
        return encoder

    def moved_to(self, device: "torch.device") -> "Encoder":
        """Move the model to a device, and return the encoder."""
        import torch

        with enough_memory(type(self.model).__name__):
            torch.nn.Module.to(self.model, device)
        return self

    def check_weights(self) -> None:
        """Refuse a model that has diverged, where its vectors are not looked at one by one.

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

        The tokenizer is named by the one class that every transformers since 4.0 opens from
        ``tokenizer.json`` as it stands.

        Args:
            folder: Made if absent.
        """
        import copy

        import torch

        body: Any = self.body
        if self.stored:
            body = copy.deepcopy(body).to(getattr(torch, self.stored))
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()  # how it was used last is no part of it
        backend.no_padding()
        with quiet_transformers():
            body.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        _name_tokenizer_for_all(folder / TOKENIZER_CONFIG, self)

    @classmethod
    def of_family(cls, family: "Family", folder: Path, language: str) -> "Encoder":
        """Return one language's encoder of a family that was opened from ``folder``.

        Raises:
            XlingError: no such language, or a tokenizer that is missing, damaged or another's.
        """
        model = family.member(language).eval()
        place = folder / language
        check_file(place / TOKENIZER)
        encoder = cls(language, model, load_tokenizer(place, place / TOKENIZER))
        _check_fit(place, encoder)
        return encoder


def load_tokenizer(
    name: str | Path, file: Path | None, configured: bool = True, local: bool = True
) -> "PreTrainedTokenizerFast":
    """Open a fast tokenizer.

    Args:
        name: A folder, or a name on the hub.
        file: Its ``tokenizer.json``, if it has one.
        configured: Whether ``tokenizer_config.json`` is beside it. Without it transformers guesses
            the class from the model, and that class may cut text in another way than the file says.
        local: Whether nothing is fetched.

    Raises:
        XlingError: it cannot be opened, has no entries, or is not the one of its file.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer: Any = AutoTokenizer.from_pretrained(
                name, trust_remote_code=False, local_files_only=local
            )
    except Exception as error:  # libraries raise various errors for a bad file
        raise XlingError(
            f"{name}: its tokenizer cannot be opened ({one_line(error)}); copy the tokenizer of "
            "the model it was made from (tokenizer.save_pretrained)"
        ) from None
    if not tokenizer.is_fast:
        raise XlingError(
            f"{name}: has no fast tokenizer (tokenizer.json); convert it with transformers"
        )
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    if not set(tokenizer.get_vocab().values()) - added - set(tokenizer.all_special_ids):
        raise XlingError(
            f"{name}: has no tokenizer but for {len(tokenizer)} special tokens, so that every word "
            "would be unknown; copy the tokenizer of the model it was made from "
            "(tokenizer.save_pretrained)"
        )
    try:
        _check_own_special_tokens(name, tokenizer)
        if file is not None:
            _compare_with_file(tokenizer, file, configured)
    except XlingError:
        raise
    except Exception as error:  # tokenizers raises no narrower class
        raise XlingError(f"{name}: its tokenizer cuts no text ({one_line(error)})") from None
    opened: PreTrainedTokenizerFast = tokenizer
    return opened


def _name_tokenizer_for_all(path: Path, encoder: Encoder) -> None:
    """Rewrite what transformers 5 says of a tokenizer so that version 4 opens it as well."""
    content = read_json(path)
    extra = content.pop("extra_special_tokens", None)  # a list, where version 4 has a mapping
    if extra:
        content["additional_special_tokens"] = extra
    for key in ("backend", "is_local", "local_files_only"):
        content.pop(key, None)
    inputs = signature(encoder.body.forward).parameters
    content["model_input_names"] = [
        name for name in encoder.tokenizer.model_input_names if name in inputs
    ]
    write_json(path, {**content, "tokenizer_class": "PreTrainedTokenizerFast"})


def _check_own_special_tokens(name: str | Path, tokenizer: Any) -> None:
    """Refuse a tokenizer that puts tokens around a text which it does not know as special."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    masked = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    around = {number for number, put in masked if put}
    unknown = sorted(around - set(tokenizer.all_special_ids))
    if unknown:
        names = ", ".join(tokenizer.convert_ids_to_tokens(unknown))
        raise XlingError(
            f"{name}: its tokenizer puts {names} around a text but names no such special tokens; "
            "tokenizer_config.json or special_tokens_map.json is missing or cut: copy the "
            "tokenizer of the model it was made from (tokenizer.save_pretrained)"
        )


def _compare_with_file(tokenizer: Any, path: Path, configured: bool) -> None:
    """Compare how a tokenizer cuts text with how its ``tokenizer.json`` alone does."""
    from tokenizers import Tokenizer

    file = Tokenizer.from_file(str(path))
    sample = _SAMPLE + "".join(sorted(file.get_vocab(with_added_tokens=False))[::97])[:2000]
    used, said = (_cut(backend, sample) for backend in (tokenizer.backend_tokenizer, file))
    if used == said:
        return
    if not configured:
        raise XlingError(
            f"{path.parent}: no tokenizer_config.json beside tokenizer.json, and the class that "
            f"transformers takes instead ({type(tokenizer).__name__}) cuts text in another way; "
            "copy the tokenizer of the model it was made from (tokenizer.save_pretrained)"
        )
    logger.warning(
        "%s: %s, the class that transformers takes, cuts text in another way than the file does; "
        "vectors are those of the class",
        path,
        type(tokenizer).__name__,
    )


def _cut(backend: Any, text: str) -> list[int]:
    backend.no_truncation()  # a saved one may cut every text
    backend.no_padding()
    ids: list[int] = backend.encode(text, add_special_tokens=False).ids
    return ids


def _on_hub(name: str) -> bool:
    """Ask the hub for a name once; False if it cannot be asked but the model was fetched before.

    transformers would ask for every file again and again, for minutes.

    Raises:
        XlingError: it is no name on the hub, or cannot be asked for and was not fetched.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    no_folder = f"{name}: {_CANNOT}: not found; {_EXPECTED}, or a name on the hub (OWNER/NAME)"
    if not _HUB_NAME.fullmatch(name):
        raise XlingError(no_folder)
    try:
        HfApi().model_info(name, timeout=10)
        return True
    except HfHubHTTPError as error:
        raise XlingError(f"{no_folder} ({one_line(error)})") from None
    except Exception as error:  # no network, in the words of whatever carries the request
        if not isinstance(try_to_load_from_cache(name, CONFIG), str):
            raise XlingError(
                f"{no_folder} (the hub cannot be reached: {one_line(error)})"
            ) from None
        return False


def _files(name: str | Path, local: bool) -> dict[str, Path]:
    """Check a model's folder, or what a name on the hub lists as weights."""
    if Path(name).exists() or isinstance(name, Path):
        for path in sorted(Path(name).glob("*")):  # first: what was altered may look like damage
            check_file(path)
        return model_files(Path(name))
    return _hub_files(name, local)


def _hub_files(name: str, local: bool) -> dict[str, Path]:
    """Fetch the small files of a name on the hub that decide how the others are read."""
    from transformers.utils import cached_file

    found: dict[str, Path] = {}
    with quiet_transformers():
        for file in (SHARDS, TOKENIZER, TOKENIZER_CONFIG):
            try:
                path = cached_file(
                    name,
                    file,
                    local_files_only=local,
                    _raise_exceptions_for_missing_entries=False,
                )
            except Exception as error:  # no network, no permission
                raise XlingError(f"{name}: {_CANNOT} ({one_line(error)}); {_EXPECTED}") from None
            if path is not None:
                found[file] = Path(path)
    if SHARDS in found:
        check_index(found[SHARDS])
    return found


def _load_config(name: str | Path, local: bool) -> Any:
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(
                name, trust_remote_code=False, local_files_only=local
            )
    except Exception as error:  # libraries raise various errors for a bad file
        raise _cannot_be_opened(name, error) from None
    if config.is_encoder_decoder:
        raise XlingError(encoder_decoder(name, config.model_type))
    return config


def _load_model(name: str | Path, config: Any, local: bool) -> "PreTrainedModel":
    import torch
    from transformers import AutoModel

    found: dict[str, Any]
    try:
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            # Random weights are made for what is missing or of another shape (hence the fork),
            # and then left out or refused.
            model, found = AutoModel.from_pretrained(
                name,
                config=config,
                trust_remote_code=False,
                local_files_only=local,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # libraries raise various errors for a bad file
        raise _cannot_be_opened(name, error) from None
    _check_shapes(name, found["mismatched_keys"])
    _leave_out_pooler(name, model, set(found["missing_keys"]))
    _warn_of_layers(name, model, found["unexpected_keys"])
    opened: PreTrainedModel = model.eval()
    return opened


def _cannot_be_opened(name: str | Path, error: Exception) -> XlingError:
    if "trust_remote_code" in str(error):
        return XlingError(
            f"{name}: {_CANNOT}: it needs code that is shipped with it, which xling does not run; "
            "take a model of a kind that transformers itself knows"
        )
    return XlingError(f"{name}: {_CANNOT} ({one_line(error)}); {_EXPECTED}")


def _check_shapes(name: str | Path, differing: Iterable[tuple[str, Any, Any]]) -> None:
    for key, found, expected in sorted(differing, key=lambda item: item[0]):
        raise XlingError(
            f"{name}: {_CANNOT}: {key} has the shape {list(found)} in its weights, but "
            f"{list(expected)} by {CONFIG}; the two are of different models: copy both again"
        )


def _warn_of_layers(name: str | Path, model: Any, unused: Iterable[str]) -> None:
    """Say of weights of further layers that the configuration has fewer; heads are left out."""
    lists = {_LAYER.sub("", key) for key in model.state_dict() if _LAYER.search(key)}
    further = [key for key in unused if _LAYER.search(key) and _LAYER.sub("", key) in lists]
    if further:
        logger.warning(
            "%s: its weights hold more layers than %s says, which are left out (%s, ...)",
            name,
            CONFIG,
            min(further),
        )


def _leave_out_pooler(name: str | Path, model: Any, missing: set[str]) -> None:
    """Drop a pooler made at random; refuse a model with other weights that are.

    Raises:
        XlingError: its weights lack more than a pooler.
    """
    body = model.base_model
    pooler = {key for key in missing if key.startswith("pooler.")}
    if any(key.startswith("decoder.") for key in missing):
        raise XlingError(encoder_decoder(name, body.config.model_type))
    if missing - pooler:
        raise XlingError(
            f"{name}: its weights lack {', '.join(sorted(missing - pooler)[:5])}, which would be "
            "random; copy the whole model, or save it again with save_pretrained"
        )
    if pooler and getattr(body, "pooler", None) is not None:
        body.pooler = None


def _check_fit(name: str | Path, encoder: Encoder) -> None:
    """Refuse a tokenizer with ids that the model has no rows for.

    Raises:
        XlingError: it has, or the model has no rows.
    """
    try:
        rows = encoder.rows
    except (NotImplementedError, AttributeError):
        raise XlingError(
            f"{name}: {type(encoder.body).__name__} has no table of token embeddings; expected an "
            "encoder of text, such as BERT, XLM-R or ModernBERT"
        ) from None
    entries = max(encoder.tokenizer.get_vocab().values()) + 1
    if entries > rows:
        raise XlingError(
            f"{name}: the tokenizer has {entries} entries but the embedding matrix {rows} rows; "
            "take the model's own tokenizer, or train the model after resize_token_embeddings"
        )
