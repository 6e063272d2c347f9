"""Opening a model's fast tokenizer, and refusing one that would split text differently."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.encoders.opening import needs_code
from xling.errors import XlingError
from xling.model.folder import one_line
from xling.progress import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)

_SAMPLE = "The Quick brown fox ate 12,50 Äpfel in São Paulo; Кот спит. 你好,世界! สวัสดี abc def "


def load_tokenizer(
    name: str | Path,
    file: Path | None,
    configured: bool = True,
    local: bool = True,
    trust_remote_code: bool = False,
) -> "PreTrainedTokenizerFast":
    """Open a fast tokenizer.

    Args:
        name: A folder, or a name on the hub.
        file: Its ``tokenizer.json``, if it has one.
        configured: Whether ``tokenizer_config.json`` is next to it. Without it transformers guesses
            the class from the model, and that class may split text differently from the file.
        local: Whether nothing is fetched.
        trust_remote_code: Whether Python code shipped with it is run.

    Raises:
        XlingError: it cannot be opened, has no entries, or does not match its file.
    """
    from transformers import AutoTokenizer

    try:
        with quiet_transformers():
            tokenizer: Any = AutoTokenizer.from_pretrained(
                name, trust_remote_code=trust_remote_code, local_files_only=local
            )
    except Exception as error:  # libraries raise various errors for a bad file
        if "trust_remote_code" in str(error):
            raise needs_code(name) from None
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


def _check_own_special_tokens(name: str | Path, tokenizer: Any) -> None:
    """Refuse a tokenizer that adds tokens around a text but does not list them as special."""
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
    """Check that a tokenizer splits text as its ``tokenizer.json`` alone does."""
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
    backend.no_truncation()  # a saved tokenizer may truncate every text
    backend.no_padding()
    ids: list[int] = backend.encode(text, add_special_tokens=False).ids
    return ids
