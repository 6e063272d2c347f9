"""Noun phrases: a role's filler with its modifiers and the marking of its role."""

from collections.abc import Sequence

from xling.conlang import meaning as m
from xling.conlang import morphology as mo
from xling.conlang.lexicon import Words
from xling.conlang.trees import Sentence, Word

Row = Sequence[int]

# Parts of a role's key (low four bits; the head is 0): what translates what.
K_PROPERTY, K_QUANTIFIER, K_ADPOSITION, K_OF, K_PLURAL, K_NAME = 1, 2, 3, 5, 6, 8


class NounPhrases(Words):
    """Renders fillers; see `Words` for the arguments."""

    def noun_phrase(
        self, row: Row, at: int, case: int, deprel: str, governor: Word | None, style: int
    ) -> tuple[Sentence, Word]:
        """Return the words of a filler and its head; obliques bring their adposition."""
        head_number, quantifier, prop, owner = row[at : at + 4]
        slot = at << 4
        if head_number >= self._nouns:
            words = self._name(head_number, deprel, governor, slot)
            head, inflects = words[0], False
        else:
            inflects = self._case_affix and head_number not in self._borrowed
            words, head = self._common_noun(
                head_number, quantifier, prop, owner, case, deprel, governor, slot, style
            )
        return self._mark_case(words, head, case, slot, inflects), head

    def _mark_case(
        self, words: Sentence, head: Word, case: int, slot: int, inflects: bool
    ) -> Sentence:
        """Add what marks the role: an adposition, a case particle, or nothing."""
        adposition = {
            mo.LOCATIVE: "AT", mo.DATIVE: "TO", mo.GENITIVE: "OF", mo.INSTRUMENTAL: "BY"
        }.get(case)  # fmt: skip
        if adposition is None:
            if self.spec.case != "particle" or case != mo.ACCUSATIVE:
                return words
            adposition = "ACC"
        elif inflects and case != mo.LOCATIVE:
            return words
        key = slot | (K_OF if case == mo.GENITIVE else K_ADPOSITION)
        particle = self.particle(adposition, "ADP", "case", head, key)
        return [particle, *words] if self.spec.adposition == "before" else [*words, particle]

    def _name(self, number: int, deprel: str, governor: Word | None, slot: int) -> Sentence:
        words: Sentence = []
        for part, lexeme in enumerate(self.world.entities.parts[number - self._nouns]):
            form = self.form(lexeme)
            key = slot | (K_NAME + part)
            first = words[0] if words else None
            relation, head = ("flat", first) if first else (deprel, governor)
            words.append(Word(form, form, "PROPN", relation, head, key, lexeme, "", number))
        return words

    def _common_noun(
        self,
        noun: int,
        quantifier: int,
        prop: int,
        owner: int,
        case: int,
        deprel: str,
        governor: Word | None,
        slot: int,
        style: int,
    ) -> tuple[Sentence, Word]:
        spec = self.spec
        plural = m.PLURAL[quantifier]
        known = quantifier in (m.THE, m.THE_MANY)
        features = (
            case if self._case_affix else 0,
            int(plural and spec.plural == "affix"),
            int(known and spec.articles == "affix"),
        )
        second = (style >> (12 + noun % 40)) & 1 == 1
        form, lemma, gloss = self.entry(noun, features, second)
        head = Word(form, lemma, "NOUN", deprel, governor, slot, noun, gloss)
        before: Sentence = []
        after: Sentence = []
        if prop >= 0:
            self._attribute(before, after, prop, features, head, slot)
        if owner >= 0:
            self._owner(before, after, owner, head, slot)
        self.determine(before, after, quantifier, head, slot)
        return [*before, head, *after], head

    def _attribute(
        self,
        before: Sentence,
        after: Sentence,
        prop: int,
        features: tuple[int, ...],
        head: Word,
        slot: int,
    ) -> None:
        lexeme = self.world.lexemes.adjective + prop
        agrees = self.spec.adjective_agreement
        form, lemma, gloss = self.entry(lexeme, (*features[:2], 0) if agrees else (0, 0, 0), False)
        word = Word(form, lemma, "ADJ", "amod", head, slot | K_PROPERTY, lexeme, gloss)
        (before if self.spec.adjective == "before" else after).append(word)

    def _owner(self, before: Sentence, after: Sentence, owner: int, head: Word, slot: int) -> None:
        slot |= 1 << 12  # a name of its own, told apart from the head's
        words = self._name(owner, "nmod", head, slot)
        words = self._mark_case(words, words[0], mo.GENITIVE, slot, False)
        if self.spec.genitive == "before":
            before[:0] = words
        else:
            after.extend(words)

    def determine(
        self, before: Sentence, after: Sentence, quantifier: int, head: Word, slot: int
    ) -> None:
        """Add article, quantifier, plural particle or numeral before or after a noun."""
        spec = self.spec
        if quantifier in (m.THE, m.THE_MANY, m.ONE):
            if spec.articles == "none" or (spec.articles == "affix" and quantifier != m.ONE):
                word = None
            else:
                article = "A" if quantifier == m.ONE else "THE"
                word = self.particle(article, "DET", "det", head, slot | K_QUANTIFIER)
        elif quantifier in (m.ALL, m.SOME, m.NO):
            name = ("ALL", "SOME", "NO")[quantifier - m.ALL]
            word = self.particle(name, "DET", "det", head, slot | K_QUANTIFIER)
        else:
            word = None
        if m.PLURAL[quantifier] and spec.plural == "particle":
            before.insert(0, self.particle("PL", "DET", "det", head, slot | K_PLURAL))
        if quantifier >= m.NUMBER:
            lexeme = self.world.lexemes.numeral + quantifier - m.NUMBER
            form = self.form(lexeme)
            numeral = Word(form, form, "NUM", "nummod", head, slot | K_QUANTIFIER, lexeme)
            if spec.numeral == "before":
                before.insert(0, numeral)
            else:
                after.append(numeral)
        if word is not None:
            if spec.determiner == "before":
                before.insert(0, word)
            else:
                after.append(word)
