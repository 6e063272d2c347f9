"""Which part of the data may use which meaning.

Every meaning has exactly one owner, found from its identifier alone. A part draws
until it has meanings of its own, so the texts of two languages, and training, development, test and
parallel data, never share a meaning, whatever their sizes and without anybody keeping lists.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xling.conlang.choices import Ints
from xling.conlang.meaning import WIDTH, Meanings, Sampler, coarse, identifiers
from xling.conlang.spec import ConlangSpec
from xling.conlang.world import PER, World
from xling.errors import XlingError
from xling.randomness import derive_seed, generator

Prepare = Callable[[Meanings], tuple[Meanings, NDArray[np.bool_]]]

EVALUATION = ("train", "dev", "test", "parallel")
_EVALUATION_SHARE = 0.06
_TEXT = "text"
_ROUNDS = 200
_TRIES = 32


class Owners:
    """Divides the identifiers among the parts of a data folder."""

    def __init__(self, spec: ConlangSpec) -> None:
        writers = (_TEXT,) if spec.parallel_text else tuple(spec.languages)
        self.names = (*EVALUATION, *(f"text:{writer}" for writer in writers))
        text = (1 - _EVALUATION_SHARE * len(EVALUATION)) / len(writers)
        shares = [_EVALUATION_SHARE] * len(EVALUATION) + [text] * len(writers)
        self._steps = np.cumsum(shares)[:-1]
        self._salt = np.uint64(derive_seed(spec.seed, "owners") & 0xFFFFFFFFFFFFFFFF)

    def text(self, language: str) -> str:
        """Return the owner of a language's monolingual text."""
        return f"text:{language}" if f"text:{language}" in self.names else f"text:{_TEXT}"

    def owned(self, meanings: Meanings, owner: str) -> NDArray[np.bool_]:
        """Tell which meanings belong to ``owner``."""
        mixed = (identifiers(coarse(meanings)) ^ self._salt) * np.uint64(0xD6E8FEB86659FD93)
        share = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        return np.searchsorted(self._steps, share, side="right") == self.names.index(owner)


class Source:
    """Meanings with topics and styles for any part of the data, block by block."""

    def __init__(self, spec: ConlangSpec, world: World) -> None:
        self.spec, self.world = spec, world
        self.owners = Owners(spec)
        self._samplers = {
            name: Sampler(world, name, domain.shift) for name, domain in spec.domains.items()
        }

    def draw(
        self,
        owner: str,
        domain: str,
        purpose: str,
        block: int,
        count: int,
        distinct: bool = False,
        length: int = 0,
        prepare: Prepare | None = None,
    ) -> tuple[Meanings, Ints]:
        """Draw documents that one part owns: a pure function of the arguments and the spec.

        Args:
            owner: One of ``Owners.names``.
            domain: Whose topics and constructions are used.
            purpose: What the meanings are for; keeps uses independent.
            block: Number of the block.
            count: Number of sentences; whole documents but for the last.
            distinct: Whether all meanings must differ.
            prepare: Changes meanings before they are judged, and says which may be used.
            length: Sentences per document, if not ``spec.document``.

        Returns:
            Meanings [count, WIDTH] and the topic of each [count].

        Raises:
            XlingError: If the world has too few meanings for this part.
        """
        world, length = self.world, length or self.spec.document
        rng = generator(self.spec.seed, f"meanings-{owner}-{domain}-{purpose}", block)
        documents = -(-count // length)
        place = np.full(documents, world.domains.index(domain))
        topic = world.topics.draw(place, rng.random(documents))
        context = place * world.spec.topics + topic
        contexts = len(world.domains) * world.spec.topics
        person = world.entity.draw(PER * contexts + context, rng.random(documents))
        topics = np.repeat(topic, length)[:count]
        people = np.repeat(person, length)[:count]
        sampler = self._samplers[domain]
        meanings = np.zeros((count, WIDTH), dtype=np.int64)
        missing = np.ones(count, dtype=bool)
        pending = np.arange(count)
        for _ in range(_ROUNDS):
            # The fewer sentences are wanted, the more candidates each of them gets.
            tries = np.repeat(pending, max(1, min(_TRIES, count // len(pending))))
            drawn = sampler.draw(rng, topics[tries], people[tries])
            usable: NDArray[np.bool_] | bool = True
            if prepare is not None:
                drawn, usable = prepare(drawn)
            kept = np.flatnonzero(self.owners.owned(drawn, owner) & usable)
            found, first = np.unique(tries[kept], return_index=True)
            meanings[found] = drawn[kept[first]]
            missing[found] = False
            if distinct:
                missing |= _repeated(meanings) & ~missing
            pending = np.flatnonzero(missing)
            if not len(pending):
                return meanings, topics
        raise XlingError(
            f"spec: world: too small for {count} different sentences of part {purpose}; "
            "make world.nouns or world.events larger, or the part smaller"
        )

    def styles(self, language: str, purpose: str, block: int, count: int) -> list[int]:
        """Return 62 random bits per sentence that choose among wordings of its meaning."""
        rng = generator(self.spec.seed, f"style-{language}-{purpose}", block)
        drawn: list[int] = rng.integers(1 << 62, size=count).tolist()
        return drawn


def _repeated(meanings: Meanings) -> NDArray[np.bool_]:
    """Tell which meanings occurred before."""
    _, first = np.unique(identifiers(meanings), return_index=True)
    again = np.ones(len(meanings), dtype=bool)
    again[first] = False
    return again
