"""Opening the part of a transformers model that computes hidden states from token ids."""

import copy
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file
from xling.errors import XlingError
from xling.model.folder import (
    CONFIG,
    SHARDS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    check_index,
    model_files,
    one_line,
)
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_CANNOT = "cannot be opened as an encoder"
_EXPECTED = "expected a Hugging Face folder with config.json, model.safetensors and tokenizer files"
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
# A layer's number and what comes before it; the rest names a part that every layer has.
_LAYER = re.compile(r"^.*?\.\d+\.")


def _on_hub(name: str) -> bool:
    """Ask the hub for a name once; False if it is out of reach but the model was fetched before.

    transformers would ask for every file again and again, for minutes.

    Raises:
        XlingError: it is no name on the hub, or the hub is out of reach and it was not fetched.
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
    except Exception as error:  # no network: the type depends on the library that sends requests
        if not isinstance(try_to_load_from_cache(name, CONFIG), str):
            raise XlingError(
                f"{no_folder} (the hub cannot be reached: {one_line(error)})"
            ) from None
        return False


def is_local(name: str | Path) -> bool:
    """Tell whether a model is opened without asking the hub.

    Raises:
        XlingError: it is neither a folder nor a name on the hub, or the hub is out of reach.
    """
    return Path(name).exists() or isinstance(name, Path) or not _on_hub(name)


def small_files(name: str | Path, local: bool) -> dict[str, Path]:
    """Check a model's folder, or the list of weights of a name on the hub; return files by name.

    Raises:
        XlingError: something is missing, damaged or of another kind.
    """
    if Path(name).exists() or isinstance(name, Path):
        for path in sorted(Path(name).glob("*")):  # first: altered files may look damaged
            check_file(path)
        return model_files(Path(name))
    return _hub_files(name, local)


def _hub_files(name: str, local: bool) -> dict[str, Path]:
    """Fetch the small files of a name on the hub that determine how the others are read."""
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


def load_config(name: str | Path, local: bool, trust_remote_code: bool = False) -> Any:
    """Open a model's configuration; code shipped with a model runs only if it is trusted.

    Raises:
        XlingError: there is none, or it is of a kind that transformers does not know.
    """
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(
                name, trust_remote_code=trust_remote_code, local_files_only=local
            )
    except Exception as error:  # libraries raise various errors for a bad file
        raise _cannot_be_opened(name, error) from None


def load_model(
    name: str | Path, config: Any, local: bool, trust_remote_code: bool = False
) -> "PreTrainedModel":
    """Open a model in float32, in evaluation mode, without head and without decoder.

    Weights are read from safetensors only.

    Args:
        name: A folder, or a name on the hub.
        config: Its configuration.
        local: Whether nothing is fetched.
        trust_remote_code: Whether Python code shipped with the model is run.

    Raises:
        XlingError: it cannot be opened, or lacks weights other than those of a pooler.
    """
    import torch
    from transformers import AutoModel

    found: dict[str, Any]
    try:
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            # transformers makes random weights (hence the fork) for those that are missing or
            # have another shape; below they are left out or refused.
            model, found = AutoModel.from_pretrained(
                name,
                config=config,
                trust_remote_code=trust_remote_code,
                local_files_only=local,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:  # libraries raise various errors for a bad file
        raise _cannot_be_opened(name, error) from None
    _check_shapes(name, found["mismatched_keys"])
    _warn_of_layers(name, model, found["unexpected_keys"])
    part = text_part(model)
    _leave_out_pooler(name, model, part, set(found["missing_keys"]))
    part.eval()
    return part


def text_part(model: Any) -> "PreTrainedModel":
    """Return the part of a model that computes hidden states from token ids.

    That is the encoder of an encoder-decoder (T5, BART, NLLB), the language model of a model that
    also sees pictures (Gemma 3), and any other model as it is.
    """
    from transformers import PreTrainedModel

    body = model.base_model
    inside = getattr(body, "encoder", None) if hasattr(body, "decoder") else None
    if inside is None:
        inside = getattr(body, "language_model", None)
    part: PreTrainedModel = inside if isinstance(inside, PreTrainedModel) else model
    return part


def saved_form(body: "PreTrainedModel") -> "PreTrainedModel":
    """Return the form in which to save a model so that transformers opens it again.

    The encoder of a T5 is saved as ``T5EncoderModel``, with the same weights.

    Raises:
        XlingError: transformers has no class for such an encoder without its decoder.
    """
    import torch
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_TEXT_ENCODING_MAPPING,
        MODEL_MAPPING,
    )

    kind: Any = type(body.config)
    opened: Any = MODEL_MAPPING.get(kind, None)
    alone: Any = MODEL_FOR_TEXT_ENCODING_MAPPING.get(kind, None)
    if opened is None or isinstance(body, (opened, *([alone] if alone else ()))):
        return body
    if alone is None or not hasattr(body, "embed_tokens"):
        raise XlingError(
            f"{type(body).__name__}: cannot be saved alone: transformers opens such an encoder "
            "only with its decoder; take an encoder, a decoder-only model, or one of the T5 kind"
        )
    with torch.device("meta"):
        whole: Any = alone(copy.deepcopy(body.config))
    whole.encoder, whole.shared = body, body.embed_tokens
    saved: PreTrainedModel = whole
    return saved


def needs_code(name: str | Path) -> XlingError:
    """Return the error for a model or tokenizer that needs its own code, which is not trusted."""
    return XlingError(
        f"{name}: {_CANNOT}: it needs code that is shipped with it, which only `xling audit "
        "--trust-remote-code` runs; read that code first, or take a model of a kind that "
        "transformers itself knows"
    )


def _cannot_be_opened(name: str | Path, error: Exception) -> XlingError:
    if "trust_remote_code" in str(error):
        return needs_code(name)
    return XlingError(f"{name}: {_CANNOT} ({one_line(error)}); {_EXPECTED}")


def _check_shapes(name: str | Path, differing: Iterable[tuple[str, Any, Any]]) -> None:
    for key, found, expected in sorted(differing, key=lambda item: item[0]):
        raise XlingError(
            f"{name}: {_CANNOT}: {key} has the shape {list(found)} in its weights, but "
            f"{list(expected)} by {CONFIG}; the two are of different models: copy both again"
        )


def _warn_of_layers(name: str | Path, model: Any, unused: Iterable[str]) -> None:
    """Warn if the weights have more layers than the configuration; heads are ignored."""
    lists = {_LAYER.sub("", key) for key in model.state_dict() if _LAYER.search(key)}
    further = [key for key in unused if _LAYER.search(key) and _LAYER.sub("", key) in lists]
    if further:
        logger.warning(
            "%s: its weights hold more layers than %s says, which are left out (%s, ...)",
            name,
            CONFIG,
            min(further),
        )


def _leave_out_pooler(name: str | Path, model: Any, part: Any, missing: set[str]) -> None:
    """Drop a randomly initialised pooler; refuse a part with other random weights.

    Raises:
        XlingError: its weights lack more than a pooler.
    """
    used = {id(tensor) for tensor in (*part.parameters(), *part.buffers())}
    held = dict(model.named_parameters(remove_duplicate=False))
    lacking = {key for key in missing if key not in held or id(held[key]) in used}
    if part is not model:
        lacking -= {key for key in missing if key not in held}
    pooler = {key for key in lacking if key.startswith("pooler.")}
    if lacking - pooler:
        raise XlingError(
            f"{name}: its weights lack {', '.join(sorted(lacking - pooler)[:5])}, which would be "
            "random; copy the whole model, or save it again with save_pretrained"
        )
    body = part.base_model
    if pooler and getattr(body, "pooler", None) is not None:
        body.pooler = None


def check_fit(name: str | Path, body: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer with ids that the model has no rows for.

    Special tokens that occur only in a text that spells them out, such as Gemma's for a picture,
    may lack a row.

    Raises:
        XlingError: it has such ids, or the model has no rows.
    """
    try:
        weight = body.get_input_embeddings().weight
    except (NotImplementedError, AttributeError):
        weight = None
    if weight is None or weight.ndim != 2:
        raise XlingError(
            f"{name}: {type(body).__name__} has no table of token embeddings; expected a model of "
            "text, such as BERT, XLM-R, T5 or Llama"
        )
    spelled = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    spelled -= set(tokenizer.backend_tokenizer.encode("a").ids)
    named = {tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id}
    spelled -= named
    entries = max(set(tokenizer.get_vocab().values()) - spelled) + 1
    rows = int(weight.shape[0])
    if entries > rows:
        raise XlingError(
            f"{name}: the tokenizer has {entries} entries but the embedding matrix {rows} rows; "
            "take the model's own tokenizer, or train the model after resize_token_embeddings"
        )
