"""Two encoders with the map that brings them into one space, in memory and as a folder.

::

    FOLDER/
      README.md              model card: data, method, scores
      aligned.json           languages, layers, what the map is
      map.safetensors        from the source's space into the target's
      scores.csv             what the map scored on other parallel lines
      LANG/                  the encoder (Hugging Face), and normalizer.safetensors
      modules.json ...       what sentence-transformers needs, see `sentence_modules`
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.alignment.layers import Alignment
from xling.alignment.sentence_modules import write_modules, write_router
from xling.artefact import check_file
from xling.device import AUTO, choose_device
from xling.errors import XlingError
from xling.files import read_json
from xling.measures.arrays import unit_rows
from xling.measures.maps import LeastSquares, LinearMap, Procrustes, RefinedProcrustes, Ridge
from xling.measures.normalization import Normalizer
from xling.measures.self_learning import SelfLearning
from xling.names import check_language

if TYPE_CHECKING:
    import pandas as pd

    from xling.encoders.encoder import Encoder

INDEX, CARD = "aligned.json", "README.md"
MAP, NORMALIZER = "map.safetensors", "normalizer.safetensors"
_MAPS: dict[str, type[LinearMap]] = {
    kind.__name__: kind
    for kind in (Procrustes, LeastSquares, Ridge, RefinedProcrustes, SelfLearning)
}


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Sentence vectors of two languages in one space: that of the target's layer.

    Attributes:
        source: The encoder whose vectors are mapped.
        target: The encoder whose space is used; of another language.
        layers: Layer of the source and of the target whose mean token vectors are used.
        normalizers: Of the source and of the target.
        map: From normalised source vectors to normalised target vectors.
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
            batch_tokens: Most tokens, padding included, in one forward pass.

        Returns:
            float32 array [N, width] of length 1; zeros for a line without tokens, and for one that
            the map sends to zero.

        Raises:
            XlingError: for another language.
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
        """Score how many lines find their translation, on lines the map was not learnt from.

        Args:
            lines: N lines of each of the two languages, line i meaning the same in both.

        Returns:
            A table of scores: precision@1, 5 and 10 and the mean reciprocal rank, by cosine, CSLS
            and margin, in both directions; each with its 95 % interval where it has one.

        Raises:
            XlingError: other languages, or lines that are not parallel.
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
            XlingError: the folder holds something, or both languages have the same name.
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
            place = folder / encoder.language
            encoder.save(place)
            self.normalizers[side].save(place / NORMALIZER)
            matrix = None if side else self.map.matrix_
            write_modules(place, encoder, self.layers[side], self.normalizers[side], matrix)
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
    index: Any = read_json(path / INDEX)
    try:
        languages = check_language(index["source"]), check_language(index["target"])
        kind = _MAPS[index["map"]]
        first, second = (int(layer) for layer in index["layers"])
    except (KeyError, TypeError, ValueError):
        raise XlingError(
            f"{path / INDEX}: not the index of an aligned pair; expected what `xling align export` "
            "writes"
        ) from None
    except XlingError as error:  # a language whose name is none
        raise XlingError(f"{path / INDEX}: {error}") from None
    place = choose_device(device)
    source, target = (Encoder.load(path / language, language, place) for language in languages)
    for file in (path / MAP, *(path / language / NORMALIZER for language in languages)):
        check_file(file)
    one, other = (Normalizer.load(path / language / NORMALIZER) for language in languages)
    return AlignedPair(source, target, (first, second), (one, other), kind.load(path / MAP))
