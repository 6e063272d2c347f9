"""An aligned pair as sentence-transformers opens it: standard modules only, no code of ours.

::

    FOLDER/modules.json, router_config.json    one route a language: encode(texts, task=LANG)
    FOLDER/LANG/modules.json                   one language alone: SentenceTransformer(FOLDER/LANG)
    FOLDER/LANG/1_WeightedLayerPooling/ ...    what follows the encoder

The modules of a language do what :meth:`xling.alignment.pair.AlignedPair.encode` does: take one
layer, average its tokens without special tokens, normalise with the learnt means, map, and give
length 1.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.files import write_json
from xling.measures.arrays import Matrix
from xling.measures.normalization import Normalizer

if TYPE_CHECKING:
    from xling.encoders.encoder import Encoder

_PACKAGE = "sentence_transformers.models"  # every version of the library knows this name
_IDENTITY = "torch.nn.modules.linear.Identity"
Tensors = dict[str, NDArray[np.float32]]
Module = tuple[str, dict[str, Any], Tensors]  # its class, configuration and weights


def write_modules(
    folder: Path, encoder: "Encoder", layer: int, normalizer: Normalizer, matrix: Matrix | None
) -> None:
    """Write a language's modules into the folder that holds its encoder.

    Args:
        folder: Of the language.
        encoder: The language's.
        layer: Whose token vectors are averaged.
        normalizer: Of the language.
        matrix: The map [d, e] to the other's space; None for the language that stays in its own.
    """
    from safetensors.numpy import save_file

    _let_hidden_states_out(folder / "config.json")
    limit = min(encoder.maximum_length, 1 << 20)
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False}
    )
    modules = [_entry(0, "Transformer", "")]
    width = normalizer.means_.shape[1] if matrix is None else len(matrix)
    steps = [*_pooling(encoder, layer, width), *_projection(normalizer, matrix)]
    for number, (kind, config, tensors) in enumerate(steps, 1):
        place = folder / f"{number}_{kind}"
        place.mkdir()
        write_json(place / "config.json", config)
        if tensors:
            save_file(tensors, place / "model.safetensors", {"format": "pt"})
        modules.append(_entry(number, kind, place.name))
    write_json(folder / "modules.json", modules)
    write_json(folder / "config_sentence_transformers.json", _SIMILARITY)


def write_router(folder: Path, languages: Sequence[str]) -> None:
    """Write what leads a text to the modules of its language, after both languages' modules.

    There is no default: the wrong language's encoder would give vectors that look right.
    """
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for language in languages:
        modules = json.loads((folder / language / "modules.json").read_text(encoding="utf-8"))
        paths = [f"{language}/{module['path']}".rstrip("/") for module in modules]
        structure[language] = paths
        types |= {path: module["type"] for path, module in zip(paths, modules, strict=True)}
    write_json(
        folder / "router_config.json",
        {
            "types": types,
            "structure": structure,
            "parameters": {"default_route": None, "allow_empty_key": False},
        },
    )
    write_json(folder / "modules.json", [_entry(0, "Router", "")])
    write_json(folder / "config_sentence_transformers.json", _SIMILARITY)


_SIMILARITY: dict[str, Any] = {
    "prompts": {},
    "default_prompt_name": None,
    "similarity_fn_name": "cosine",
}


def _entry(number: int, kind: str, path: str) -> dict[str, Any]:
    return {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}


def _let_hidden_states_out(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**config, "output_hidden_states": True})


def _pooling(encoder: "Encoder", layer: int, width: int) -> Iterator[Module]:
    """Yield what makes one vector a text of the encoder's hidden states."""
    layers = int(encoder.model.config.num_hidden_layers)
    only = np.zeros(layers + 1, dtype=np.float32)
    only[layer] = 1
    yield (
        "WeightedLayerPooling",
        {"word_embedding_dimension": width, "layer_start": 0, "num_hidden_layers": layers},
        {"layer_weights": only},
    )
    yield "WordWeights", _weights_of_tokens(encoder), {}
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    chosen = {f"pooling_mode_{mode}": mode == "mean_tokens" for mode in modes}
    yield "Pooling", {"word_embedding_dimension": width, **chosen}, {}


def _weights_of_tokens(encoder: "Encoder") -> dict[str, Any]:
    """Weigh special tokens 0 and all others 1, as the mean of a text's own tokens needs."""
    names = [f"[row {number}]" for number in range(encoder.rows)]
    for name, number in encoder.tokenizer.get_vocab().items():
        names[number] = name
    weights = {names[number]: 0.0 for number in encoder.special_ids}
    # The library looks names up in lower case too: <S> must not be taken for <s>
    alike = {name for name in names if name not in weights and name.lower() in weights}
    return {
        "vocab": names,
        "word_weights": weights | dict.fromkeys(sorted(alike), 1.0),
        "unknown_word_weight": 1.0,
    }


def _projection(normalizer: Normalizer, matrix: Matrix | None) -> Iterator[Module]:
    """Yield the normalisation and the map; the last subtraction of a mean is part of the map."""
    means = list(normalizer.means_)
    width = normalizer.means_.shape[1]
    last = np.eye(width) if matrix is None else np.asarray(matrix, dtype=np.float64)
    for number, mean in enumerate(means):
        if normalizer.method == "iterative":
            yield _length_1()
        yield _dense(last if number == len(means) - 1 else np.eye(width), mean)
    if normalizer.method == "unit":
        yield _length_1()
    if not means and matrix is not None:
        yield _dense(last, np.zeros(width))
    yield _length_1()


def _length_1() -> Module:
    return "Normalize", {}, {}


def _dense(matrix: Matrix, mean: Matrix) -> Module:
    """Return a layer that gives ``(x - mean) @ matrix``."""
    config = {
        "in_features": matrix.shape[0],
        "out_features": matrix.shape[1],
        "bias": True,
        "activation_function": _IDENTITY,
    }
    tensors = {"linear.weight": matrix.T, "linear.bias": -(mean @ matrix)}
    return (
        "Dense",
        config,
        {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()},
    )
