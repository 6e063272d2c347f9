"""Two encoders with the map that brings them into one space, in memory and as a folder.

::

    FOLDER/
      README.md              model card: data, method, scores
      aligned.json           languages, layers, what the map is
      map.safetensors        from the source's space into the target's
      scores.csv             what the map scored on other parallel lines
      LANG/                  the encoder (Hugging Face), and normalizer.safetensors
      modules.json ...       one route per language: SentenceTransformer(FOLDER), encode(task=LANG)
      LANG/modules.json ...  one language alone: SentenceTransformer(FOLDER/LANG)

sentence-transformers needs no code from xling: its own modules take one layer, average its tokens
without special tokens, normalise with the learnt means, map, and scale to length 1, as
:meth:`AlignedPair.encode` does.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xling.alignment.layers import Alignment
from xling.artefact import check_file
from xling.device import AUTO, choose_device
from xling.encoders.config import Pooling
from xling.errors import XlingError
from xling.files import JsonObject, read_json, write_json
from xling.measures.arrays import Matrix, unit_rows
from xling.measures.maps import LeastSquares, LinearMap, Procrustes, RefinedProcrustes, Ridge
from xling.measures.normalization import Normalizer
from xling.measures.self_learning import SelfLearning
from xling.names import check_language

if TYPE_CHECKING:
    import pandas as pd

    from xling.encoders.encoder import Encoder


INDEX, CARD, MODULES = "aligned.json", "README.md", "modules.json"
MAP, NORMALIZER = "map.safetensors", "normalizer.safetensors"
_MAPS: dict[str, type[LinearMap]] = {
    kind.__name__: kind
    for kind in (Procrustes, LeastSquares, Ridge, RefinedProcrustes, SelfLearning)
}
_PACKAGE = "sentence_transformers.models"  # every version of the library knows this name
_IDENTITY = "torch.nn.modules.linear.Identity"
_OLD_MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
_MODES: dict[Pooling, str] = {
    "mean": "mean_tokens",
    "first": "cls_token",
    "last": "lasttoken",
    "weighted": "weightedmean_tokens",
}
Tensors = dict[str, NDArray[np.float32]]
Module = tuple[str, dict[str, object], Tensors]  # its class, configuration and weights


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Sentence vectors of two languages in one space: that of the target's layer.

    Attributes:
        source: The encoder whose vectors are mapped.
        target: The encoder whose space is used, of a different language.
        layers: Layer of the source and of the target whose mean token vectors are used.
        normalizers: Normalisers of the source and of the target.
        map: Map from normalised source vectors to normalised target vectors.
    """

    source: "Encoder"
    target: "Encoder"
    layers: tuple[int, int]
    normalizers: tuple[Normalizer, Normalizer]
    map: LinearMap

    @property
    def languages(self) -> tuple[str, str]:
        """Source and target."""
        return self.source.language, self.target.language

    @property
    def alignment(self) -> Alignment:
        """Normalisers and map together."""
        return Alignment(*self.normalizers, self.map)

    @property
    def width(self) -> int:
        """Width of the common space."""
        return int(self.map.matrix_.shape[1])

    def encode(
        self, sentences: Sequence[str], lang: str, batch_tokens: int = 2048
    ) -> NDArray[np.float32]:
        """Return sentence vectors in the common space.

        Args:
            sentences: N lines of text.
            lang: Which of the two languages they are in.
            batch_tokens: Maximum number of tokens, padding included, in one forward pass.

        Returns:
            float32 array [N, width], rows of length 1; zeros for a line without tokens, and for one
            that is mapped to zero.

        Raises:
            XlingError: for any other language.
        """
        if lang not in self.languages:
            raise XlingError(f"language {lang!r}: this pair has {' and '.join(self.languages)}")
        from xling.encoders.representations import sentence_vectors

        side = self.languages.index(lang)
        encoder = (self.source, self.target)[side]
        result = np.zeros((len(sentences), self.width), dtype=np.float32)
        if not sentences:
            return result
        vectors = sentence_vectors(encoder, sentences, batch_tokens=batch_tokens)[self.layers[side]]
        there = np.flatnonzero(vectors.any(axis=1))
        if not len(there):
            return result
        common = self.normalizers[side].transform(vectors[there])
        common = common if side else self.map.transform(common)
        whole = common.any(axis=1)
        result[there[whole]] = unit_rows(common[whole], lang) if whole.any() else 0
        return result

    def evaluate(self, lines: Mapping[str, Sequence[str]]) -> "pd.DataFrame":
        """Score translation retrieval on lines the map was not learnt from.

        Args:
            lines: N lines of each of the two languages; line i means the same in both.

        Returns:
            A table of scores: precision@1, 5 and 10 and the mean reciprocal rank, by cosine, CSLS
            and margin, in both directions; each with its 95 % interval where it has one.

        Raises:
            XlingError: a language is missing, or lines are not parallel.
        """
        from xling.alignment.config import SentenceSettings
        from xling.alignment.sentence_stage import scored
        from xling.encoders.representations import sentence_vectors
        from xling.encoders.sentences import parallel_lines
        from xling.results import as_table

        found = parallel_lines(lines, self.languages)
        test = [
            sentence_vectors(encoder, found[encoder.language])
            for encoder in (self.source, self.target)
        ]
        settings = SentenceSettings(languages=self.languages, train="train")
        return as_table(scored(self.alignment, test, self.layers, "lines", settings))

    def save(self, folder: Path | str, card: str | None = None) -> None:
        """Write the pair as a folder that :func:`load_aligned` opens.

        Args:
            folder: Where to write: a new folder, or an empty one.
            card: The text of ``README.md``; a short one if not given.

        Raises:
            XlingError: the folder is not empty, or both languages have the same name.
        """
        from xling.files import atomic_folder

        folder = Path(folder)
        for language in self.languages:
            check_language(language)
        if len(set(self.languages)) < 2:
            raise XlingError(f"both languages are {self.languages[0]!r}: name them apart")
        if not folder.exists():
            with atomic_folder(folder) as temporary:
                self._write(temporary, card)
        elif not folder.is_dir() or any(folder.iterdir()):
            raise XlingError(f"{folder}: is there already; name another folder to write to")
        else:
            self._write(folder, card)

    def _write(self, folder: Path, card: str | None) -> None:
        from xling.alignment.card import short_card
        from xling.files import atomic_file, write_json

        self.map.save(folder / MAP)
        for side, encoder in enumerate((self.source, self.target)):
            own = folder / encoder.language
            encoder.save(own)
            self.normalizers[side].save(own / NORMALIZER)
            matrix = None if side else self.map.matrix_
            steps = _projection(self.normalizers[side], matrix)
            write_modules(own, encoder, self.layers[side], list(steps))
        write_router(folder, self.languages)
        write_json(
            folder / INDEX,
            {
                "source": self.source.language,
                "target": self.target.language,
                "layers": list(self.layers),
                "map": type(self.map).__name__,
                "width": self.width,
            },
        )
        with atomic_file(folder / CARD) as file:
            file.write(short_card(self) if card is None else card)


def load_aligned(path: Path | str, device: str = AUTO) -> AlignedPair:
    """Open the folder of an aligned pair, as ``xling align export`` writes it.

    Args:
        path: The folder.
        device: Where both encoders run, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: if there is no aligned pair, or it is damaged; this machine has no such device.
    """
    from xling.encoders.encoder import Encoder

    path = Path(path)
    if not (path / INDEX).is_file():
        raise XlingError(
            f"{path}: no aligned pair there ({INDEX}: not found); expected what `xling align "
            "export` writes"
        )
    check_file(path / INDEX)
    index = read_json(path / INDEX)
    try:
        languages = check_language(index["source"]), check_language(index["target"])
        kind = _MAPS[index["map"]]
        first, second = (int(layer) for layer in index["layers"])
    except (KeyError, TypeError, ValueError):
        raise XlingError(
            f"{path / INDEX}: not the index of an aligned pair; expected what `xling align export` "
            "writes"
        ) from None
    except XlingError as error:  # an invalid language name
        raise XlingError(f"{path / INDEX}: {error}") from None
    chosen = choose_device(device)
    source, target = (Encoder.load(path / language, language, chosen) for language in languages)
    for file in (path / MAP, *(path / language / NORMALIZER for language in languages)):
        check_file(file)
    one, other = (Normalizer.load(path / language / NORMALIZER) for language in languages)
    return AlignedPair(source, target, (first, second), (one, other), kind.load(path / MAP))


def write_modules(
    folder: Path,
    encoder: "Encoder",
    layer: int,
    steps: Sequence[Module],
    pooling: Pooling = "mean",
) -> None:
    """Write a language's modules into the folder that holds its encoder.

    Args:
        folder: Folder of the language.
        encoder: Encoder of the language.
        layer: Layer whose token vectors are pooled.
        steps: Modules after pooling.
        pooling: How a text's vector is made from its tokens' vectors, see
            :class:`xling.encoders.sentences.View`.
    """
    _let_hidden_states_out(folder / "config.json")
    limit = min(encoder.maximum_length, 1 << 20)
    write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False}
    )
    write_json(folder / MODULES, [_entry(0, "Transformer", "")])
    write_json(folder / "config_sentence_transformers.json", _SIMILARITY)
    append_modules(folder, [*_pooling(encoder, layer, pooling), *steps])


def append_modules(folder: Path, steps: Sequence[Module]) -> None:
    """Add modules after those of a sentence-transformers folder."""
    modules: list[JsonObject] = read_json(folder / MODULES)
    for number, step in enumerate(steps, len(modules)):
        name = f"{number}_{step[0]}"
        write_module(folder / name, step)
        modules.append(_entry(number, step[0], name))
    write_json(folder / MODULES, modules)


def write_module(folder: Path, module: Module) -> None:
    """Write one module into a new folder."""
    from safetensors.numpy import save_file

    _, config, tensors = module
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config)
    if tensors:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def write_router(folder: Path, languages: Sequence[str]) -> None:
    """Write the router that sends a text to its language's modules, which must be written before.

    There is no default: the wrong language's encoder would give vectors that look right.
    """
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for language in languages:
        modules: list[dict[str, str]] = read_json(folder / language / MODULES)
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
    write_json(folder / MODULES, [_entry(0, "Router", "")])
    write_json(folder / "config_sentence_transformers.json", _SIMILARITY)


def append_language_router(
    folder: Path, languages: Sequence[str], routes: Mapping[str, Module], width: int
) -> None:
    """Add a module for some languages; other texts, and those without a language, skip it.

    Args:
        folder: A sentence-transformers folder.
        languages: Languages that may be named: ``encode(task=LANG)``.
        routes: The module of each language that has one.
        width: Width of the vectors.
    """
    modules: list[dict[str, str]] = read_json(folder / MODULES)
    name = f"{len(modules)}_Router"
    unchanged = dense(np.eye(width), np.zeros(width))
    for route, module in {_ANY: unchanged, **routes}.items():
        write_module(folder / name / route, module)
    paths = [_ANY, *routes]
    tasks = [*paths, *languages, "query", "document"]  # for encode_query and encode_document
    write_json(
        folder / name / "router_config.json",
        {
            "types": dict.fromkeys(paths, f"{_PACKAGE}.Dense"),
            "structure": {task: [task if task in routes else _ANY] for task in tasks},
            "parameters": {"default_route": _ANY, "allow_empty_key": False},
        },
    )
    write_json(folder / MODULES, [*modules, _entry(len(modules), "Router", name)])


_ANY = "_any"  # no language name begins like this
_SIMILARITY: dict[str, object] = {
    "prompts": {},
    "default_prompt_name": None,
    "similarity_fn_name": "cosine",
}


def _entry(number: int, kind: str, path: str) -> dict[str, object]:
    return {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}


def _let_hidden_states_out(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {**config, "output_hidden_states": True})


def _pooling(encoder: "Encoder", layer: int, pooling: Pooling) -> Iterator[Module]:
    """Yield the modules that make one vector per text from the encoder's hidden states."""
    layers = int(encoder.model.config.num_hidden_layers)
    width = int(encoder.model.config.hidden_size)
    only = np.zeros(layers + 1, dtype=np.float32)
    only[layer] = 1
    yield (
        "WeightedLayerPooling",
        {"word_embedding_dimension": width, "layer_start": 0, "num_hidden_layers": layers},
        {"layer_weights": only},
    )
    if pooling == "mean":
        yield "WordWeights", _weights_of_tokens(encoder), {}
    modes = dict.fromkeys((*_OLD_MODES, _MODES[pooling]))
    chosen = {f"pooling_mode_{mode}": mode == _MODES[pooling] for mode in modes}
    yield "Pooling", {"word_embedding_dimension": width, **chosen}, {}


def _weights_of_tokens(encoder: "Encoder") -> dict[str, object]:
    """Weight special tokens 0 and all others 1, for the mean of a text's own tokens."""
    names = [f"[row {number}]" for number in range(encoder.rows)]
    for name, number in encoder.tokenizer.get_vocab().items():
        names[number] = name
    weights = {names[number]: 0.0 for number in encoder.special_ids}
    # The library also looks names up in lower case: <S> must not be taken for <s>
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
            yield length_1()
        yield dense(last if number == len(means) - 1 else np.eye(width), mean)
    if normalizer.method == "unit":
        yield length_1()
    if not means and matrix is not None:
        yield dense(last, np.zeros(width))
    yield length_1()


def length_1() -> Module:
    """Return a layer that scales vectors to length 1."""
    return "Normalize", {}, {}


def dense(matrix: Matrix, mean: Matrix) -> Module:
    """Return a layer that computes ``(x - mean) @ matrix``.

    Args:
        matrix: Array [d, e].
        mean: Array [d].
    """
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
