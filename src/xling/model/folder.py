"""A model as a Hugging Face folder, checked before it is opened.

transformers replaces missing parts of a folder by defaults: an empty tokenizer, random
weights. Faults that can be seen from the files are refused here, with the file's name, before
anything is hashed or loaded.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xling.errors import XlingError
from xling.names import check_language

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHARDS = f"{WEIGHTS}.index.json"
ADAPTER = "adapter_config.json"
FAMILY = "family.json"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
_WHOLE_FOLDER = "a folder with config.json, model.safetensors and tokenizer files"
# Files that hold a tokenizer's entries; vocab.json needs merges.txt beside it.
_ENTRIES = (TOKENIZER, "vocab.txt", "vocab.json", "*.model", "*.tiktoken", "tekken.json")
_DECIDING = ("*.json", "*.safetensors", "*.model", "*.tiktoken", "vocab.txt", "merges.txt")
_POINTER = b"version https://git-lfs"
_FEW_BITS = re.compile(r"[IU]8$|F[4-8]")  # as safetensors names types
_PRECISIONS = {"F16": "float16", "BF16": "bfloat16"}
_LONGEST_HEADER = 100_000_000  # what safetensors itself accepts


def model_files(folder: Path) -> dict[str, Path]:
    """Return the files that a model's output depends on, by name.

    Raises:
        XlingError: no folder, or a part of it is missing or damaged: a Git LFS pointer, weights
            cut short or outside the folder, invalid JSON, no tokenizer.
    """
    _check_folder(folder)
    config = _json_object(folder / CONFIG)
    _check_weights(folder, config)
    _check_tokenizer(folder)
    files = {path.name: path for pattern in _DECIDING for path in folder.glob(pattern)}
    files = {name: path for name, path in sorted(files.items()) if path.is_file()}
    for path in files.values():
        _refuse_pointer(path)
    return files


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        raise XlingError(f"{folder}: not found; expected {_WHOLE_FOLDER}")
    if not folder.is_dir():
        raise XlingError(f"{folder}: is a file; expected {_WHOLE_FOLDER}")
    if (folder / ADAPTER).exists():
        raise XlingError(
            f"{folder}: holds an adapter ({ADAPTER}), which would be left out; merge it into its "
            "model (peft: merge_and_unload), save that with its tokenizer, and give that folder"
        )
    if (folder / CONFIG).is_file():
        return
    if (folder / CONFIG).exists():
        raise XlingError(f"{folder / CONFIG}: is not a file; expected the model's configuration")
    family = next((path for path in (folder, folder / "model") if (path / FAMILY).is_file()), None)
    if family is not None:
        raise XlingError(
            f"{folder}: no {CONFIG}, but a family of encoders; expected the folder of one "
            f"language's encoder: {_members(family)}"
        )
    raise XlingError(
        f"{folder}: no {CONFIG}; expected the folder of one language's encoder, such as MODEL/en "
        "of a trained family"
    )


def _members(family: Path) -> str:
    return ", ".join(sorted(str(path.parent) for path in family.glob(f"*/{CONFIG}"))) or "not found"


def _json_object(path: Path) -> dict[str, Any]:
    _refuse_pointer(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise XlingError(
            f"{path}: not valid JSON ({one_line(error)}); copy the file again"
        ) from None
    if not isinstance(content, dict):
        raise XlingError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _refuse_pointer(path: Path) -> None:
    with open(path, "rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise XlingError(
                f"{path}: is a Git LFS pointer, not the file itself; fetch it: git lfs pull"
            )


def _check_weights(folder: Path, config: Mapping[str, Any]) -> None:
    if "transformers_weights" in config:
        raise XlingError(
            f"{folder / CONFIG}: transformers_weights names another file than {WEIGHTS}; save the "
            "model again with save_pretrained"
        )
    shards = None if (folder / WEIGHTS).exists() else _shards(folder)
    for name in shards or [WEIGHTS]:
        _check_safetensors(folder / name)


def check_index(path: Path) -> list[str]:
    """Return the names of the files with the weights that an index lists.

    Raises:
        XlingError: it is damaged, or names anything but safetensors files beside it.
    """
    try:
        names = sorted(set(_json_object(path)["weight_map"].values()))
    except (KeyError, AttributeError, TypeError):
        raise XlingError(f"{path}: has no weight_map; copy the file again") from None
    for name in names:
        if not isinstance(name, str) or "/" in name or "\\" in name or name.startswith("."):
            raise XlingError(
                f"{path}: lists weights in {name!r}; expected the name of a file beside it"
            )
        if not name.endswith(".safetensors"):
            raise XlingError(
                f"{path}: lists weights in {name}; only safetensors is read, since opening other "
                "files can run code; save the model again with save_pretrained"
            )
    return names


def _shards(folder: Path) -> list[str]:
    if not (folder / SHARDS).is_file():
        others = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
        found = f" (there is {others[0]}, which is not opened: it can run code)" if others else ""
        raise XlingError(
            f"{folder}: cannot be opened as an encoder: no {WEIGHTS}{found}; save the model with "
            "save_pretrained"
        )
    names = check_index(folder / SHARDS)
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise XlingError(
            f"{folder}: {len(missing)} of the {len(names)} files of {SHARDS} are missing: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; copy them"
        )
    if not names:
        raise XlingError(f"{folder / SHARDS}: lists no weights; copy the file again")
    return names


def _check_safetensors(path: Path) -> None:
    """Compare the size of a safetensors file with what its header says; nothing is loaded."""
    if not path.is_file():
        raise XlingError(f"{path}: is not a file; expected the model's weights")
    _refuse_pointer(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        # Bytes of anything else, such as a page of HTML, read as a huge length
        if 8 + length <= size and 0 < length <= _LONGEST_HEADER:
            expected = _end_of_tensors(path, file.read(length), 8 + length)
        else:
            expected = None
    if expected is None and length > _LONGEST_HEADER:
        raise XlingError(f"{path}: is not a safetensors file; copy it again")
    if expected != size:
        said = "its header is cut" if expected is None else f"its header says {expected:,}"
        fault = "cut short" if expected is None or size < expected else "too long"
        raise XlingError(f"{path}: is {fault} ({size:,} bytes, {said}); copy it again")


def _end_of_tensors(path: Path, header: bytes, start: int) -> int:
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        end = start + int(
            max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        )
        short = next((key for key, tensor in tensors.items() if _is_quantised(tensor)), None)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise XlingError(f"{path}: is not a safetensors file; copy it again") from None
    if short:
        raise XlingError(
            f"{path}: its weights are quantised ({short} is {tensors[short]['dtype']}), and would "
            "be read as other numbers; take the model in 16 or 32 bits"
        )
    return end


def _is_quantised(tensor: Mapping[str, Any]) -> bool:
    """Tell a matrix of few bits; positions and other buffers are integers of 64 or 32 bits."""
    return len(tensor["shape"]) > 1 and bool(_FEW_BITS.match(tensor["dtype"]))


def stored_precision(files: Mapping[str, Path]) -> str | None:
    """Return the half precision that all weights of a folder are stored in; None for others.

    Args:
        files: What :func:`model_files` returned.
    """
    names = [WEIGHTS] if WEIGHTS in files else check_index(files[SHARDS]) if SHARDS in files else []
    kinds: set[str] = set()
    for name in filter(files.get, names):  # a name on the hub has no local files
        with open(files[name], "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        kinds |= {tensor["dtype"] for key, tensor in header.items() if key != "__metadata__"}
    numbers = {kind for kind in kinds if "F" in kind}
    return _PRECISIONS.get(numbers.pop()) if len(numbers) == 1 else None


def _check_tokenizer(folder: Path) -> None:
    found = sorted(path.name for pattern in _ENTRIES for path in folder.glob(pattern))
    if not found:
        raise XlingError(
            f"{folder}: has no tokenizer (no {', '.join(_ENTRIES[:3])} or the like); copy the "
            "tokenizer of the model it was made from (tokenizer.save_pretrained)"
        )
    if found == ["vocab.json"] and not (folder / "merges.txt").is_file():
        raise XlingError(
            f"{folder}: half a tokenizer: vocab.json without merges.txt; copy the tokenizer of the "
            "model it was made from (tokenizer.save_pretrained)"
        )
    for name in found:
        if not (folder / name).is_file():
            raise XlingError(f"{folder / name}: is not a file; expected a part of the tokenizer")
    for name in (TOKENIZER, TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json"):
        # Of a large file only both ends are read: parsing 250,000 entries takes a while
        if (folder / name).is_file() and not _has_ends(folder / name):
            _json_object(folder / name)


def _has_ends(path: Path, much: int = 1 << 20) -> bool:
    """Tell whether a large file begins and ends as a JSON object does."""
    if path.stat().st_size < much:
        return False
    with open(path, "rb") as file:
        start = file.read(100)
        file.seek(-100, 2)
        return start.lstrip()[:1] == b"{" and file.read().rstrip()[-1:] == b"}"


def one_line(error: BaseException, longest: int = 300) -> str:
    """Return the message of a library's error as one line, shortened if long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[:longest]} ..."


def member_names(index: Any) -> Iterator[str]:
    """Yield the languages of a family's index, which are names of folders beside it.

    Raises:
        ValueError: one is not text.
        XlingError: one breaks the rule for names.
    """
    for language in index["languages"]:
        if not isinstance(language, str):
            raise ValueError(language)
        yield check_language(language)
