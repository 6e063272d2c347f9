"""The grammar: from a meaning to words in order, with their syntax.

There is one path for text and for gold: a sentence is always built as words that know
their heads, and plain text is what is left when only the forms are kept.
"""

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
        """Return the words of a filler and its head; obliques include their adposition."""
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
        slot |= 1 << 12  # the owner's name, distinct from the head's
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


# Parts of a clause's key (low four bits): what translates what.
K_VERB, K_TENSE, K_NOT, K_MANNER, K_PASSIVE, K_BE, K_MARK, K_COMMA, K_STOP = range(9)
_FREE_ORDERS = ("SVO", "SVO", "SVO", "SVO", "OVS", "SOV", "OSV", "VSO")
_LINK_WORDS = {m.AND: "AND", m.BUT: "BUT"}


class Grammar(NounPhrases):
    """Renders meanings in one language; see `Words` for the arguments."""

    def _clause(
        self,
        row: Row,
        at: int,
        deprel: str,
        governor: Word | None,
        style: int,
        relative: int = -1,
        complement: bool = False,
        gap: int = -1,
        gap_plural: bool = False,
    ) -> tuple[Sentence, Word]:
        """Return a clause's words and its predicate.

        Args:
            row: The sentence's meaning.
            at: Where the clause's columns start.
            deprel: Relation of the predicate to ``governor``.
            governor: Head of the predicate.
            style: Random bits that choose among wordings of the same meaning.
            relative: Role whose filler the second clause modifies.
            complement: Whether the second clause is what is thought or said.
            gap: Role that is expressed outside (relative clauses).
            gap_plural: Number of the gap's noun.
        """
        spec = self.spec
        passive = (
            style & 7 == 0
            and spec.passive != "none"
            and row[at + m.PATIENT] >= 0
            and row[at + m.AGENT] >= 0
            and gap < 0
        )
        subject_role, object_role = (m.PATIENT, m.AGENT) if passive else (m.AGENT, m.PATIENT)
        plural = gap_plural if gap == m.AGENT else self._is_plural(row, at + subject_role)
        core, predicate, copular = self._predicate(row, at, deprel, governor, plural, passive)
        parts: dict[str, Sentence] = {"S": [], "O": [], "V": core}
        late: Sentence = []

        def phrase(role: int, case: int, relation: str) -> Sentence:
            words, head = self.noun_phrase(row, at + role, case, relation, predicate, style)
            if relative == role:
                return self._relativise(words, head, row, at + role, role, style, late)
            return words

        if row[at + subject_role] >= 0 and gap != subject_role:
            relation = "nsubj:pass" if passive else "nsubj"
            parts["S"] = phrase(subject_role, mo.NOMINATIVE, relation)
        obliques: list[Sentence] = []
        if row[at + object_role] >= 0 and gap != object_role and not copular:
            if passive:
                obliques.append(phrase(m.AGENT, mo.INSTRUMENTAL, "obl:agent"))
            else:
                parts["O"] = phrase(m.PATIENT, mo.ACCUSATIVE, "obj")
        if row[at + m.RECIPIENT] >= 0:
            relation = "iobj" if self._bare_dative(row[at + m.RECIPIENT]) else "obl"
            receiver = phrase(m.RECIPIENT, mo.DATIVE, relation)
            parts["O"] = receiver + parts["O"] if self._object_first else parts["O"] + receiver
        fronted: Sentence = []
        if row[at + m.LOCATION] >= 0:
            place = phrase(m.LOCATION, mo.LOCATIVE, "obl")
            if (style >> 3) & 7 == 0 and gap < 0:
                fronted = place
            else:
                obliques.append(place)
        if complement:
            inner, verb = self._clause(row, m.SECOND, "ccomp", predicate, style >> 5)
            parts["O"] = self._subordinate(inner, "THAT", verb)
        order = _FREE_ORDERS[(style >> 6) & 7] if spec.order == "free" else spec.order
        if complement and spec.order == "free":
            order = "SVO"
        return fronted + self._linearise(parts, obliques, order) + late, predicate

    def _linearise(
        self, parts: dict[str, Sentence], obliques: list[Sentence], order: str
    ) -> Sentence:
        words: Sentence = []
        for part in order:
            if part == "V" and self.spec.oblique == "before":
                for oblique in obliques:
                    words += oblique
            words += parts[part]
        if self.spec.oblique == "after":
            for oblique in obliques:
                words += oblique
        return words

    def _is_plural(self, row: Row, at: int) -> bool:
        return row[at] >= 0 and m.PLURAL[row[at + m.QUANTIFIER]]

    @property
    def _kinds_from(self) -> int:
        """First predicate that is a noun."""
        return self._events + self.world.spec.properties

    @property
    def _object_first(self) -> bool:
        return self.spec.order in ("SOV", "OSV", "OVS")

    def _bare_dative(self, head: int) -> bool:
        return self._case_affix and head < self._nouns and head not in self._borrowed

    def _predicate(
        self,
        row: Row,
        at: int,
        deprel: str,
        governor: Word | None,
        plural: bool,
        passive: bool,
    ) -> tuple[Sentence, Word, bool]:
        """Return the verb complex (or copular predicate), its head, whether it is copular."""
        spec, world = self.spec, self.world
        event, tense, negated, manner = row[at : at + 4]
        slot = at << 4
        copular = event >= self._events
        agreement = int(plural and spec.verb_agreement)
        inflected = (
            tense if spec.tense == "affix" else 0,
            agreement,
            int(bool(negated) and spec.negation == "affix"),
        )
        helpers: Sentence = []
        if copular:
            head, core = self._nominal_predicate(event, deprel, governor, slot, plural)
            if spec.copula == "always" or tense != m.PRESENT:
                helpers.append(self._copula(inflected, head, slot))
        else:
            lexeme = world.lexemes.verb + event
            affix = passive and spec.passive in ("affix", "auxiliary")
            assisted = passive and spec.passive == "auxiliary"
            features = (0, 0, 0, 1) if assisted else (*inflected, int(affix))
            form, lemma, gloss = self.entry(lexeme, features, False)
            head = Word(form, lemma, "VERB", deprel, governor, slot | K_VERB, lexeme, gloss)
            core = [head]
            if assisted:
                helpers.append(self._copula(inflected, head, slot, passive=True))
            elif passive and spec.passive == "particle":
                helpers.append(self.particle("PASS", "AUX", "aux:pass", head, slot | K_PASSIVE))
        if tense != m.PRESENT and spec.tense == "particle":
            name = "PAST" if tense == m.PAST else "FUT"
            helpers.insert(0, self.particle(name, "AUX", "aux", head, slot | K_TENSE))
        if negated and (spec.negation == "particle" or (copular and not helpers)):
            helpers.insert(0, self.particle("NOT", "PART", "advmod", head, slot | K_NOT))
        words = helpers + core if spec.particles == "before" else core + helpers[::-1]
        if manner >= 0:
            lexeme = world.lexemes.adverb + manner
            form = self.form(lexeme)
            adverb = Word(form, form, "ADV", "advmod", head, slot | K_MANNER, lexeme)
            words = [adverb, *words] if spec.adverb == "before" else [*words, adverb]
        return words, head, copular

    def _nominal_predicate(
        self, event: int, deprel: str, governor: Word | None, slot: int, plural: bool
    ) -> tuple[Word, Sentence]:
        spec = self.spec
        if event < self._kinds_from:
            lexeme = self.world.lexemes.adjective + event - self._events
            number = int(plural and spec.adjective_agreement and spec.plural == "affix")
            form, lemma, gloss = self.entry(lexeme, (0, number, 0), False)
            head = Word(form, lemma, "ADJ", deprel, governor, slot | K_VERB, lexeme, gloss)
            return head, [head]
        noun = event - self._kinds_from
        number = int(plural and spec.plural == "affix")
        form, lemma, gloss = self.entry(noun, (0, number, 0), False)
        head = Word(form, lemma, "NOUN", deprel, governor, slot | K_VERB, noun, gloss)
        before: Sentence = []
        after: Sentence = []
        if not plural:
            self.determine(before, after, m.ONE, head, slot | 1 << 12)
        return head, [*before, head, *after]

    def _copula(
        self, inflected: tuple[int, int, int], head: Word, slot: int, passive: bool = False
    ) -> Word:
        stem = self._function["BE"]
        form = stem
        if "BE" not in self._borrowed:
            form = self._lexicon.morphology.inflect("verb", stem, (*inflected, 0))
        relation, key = ("aux:pass", K_PASSIVE) if passive else ("cop", K_BE)
        gloss = mo.TENSES[inflected[0]] if inflected[0] else ""
        return Word(form, stem, "AUX", relation, head, slot | key, "BE", gloss)

    def _subordinate(self, words: Sentence, marker: str, head: Word) -> Sentence:
        mark = self.particle(marker, "SCONJ", "mark", head, m.SECOND << 4 | K_MARK)
        if self.spec.subordinator == "initial":
            return [mark, *words]
        return [*words, mark]

    def _relativise(
        self,
        words: Sentence,
        head: Word,
        row: Row,
        at: int,
        role: int,
        style: int,
        late: Sentence,
    ) -> Sentence:
        """Add a relative clause to a noun phrase, or to ``late`` if it is extraposed."""
        inner, verb = self._clause(
            row,
            m.SECOND,
            "acl:relcl",
            head,
            style >> 5,
            gap=role,
            gap_plural=m.PLURAL[row[at + m.QUANTIFIER]],
        )
        clause = self._subordinate(inner, "REL", verb)
        if self.spec.relative == "before":
            return clause + words
        if self.spec.extraposition and (style >> 9) & 1:
            late.extend(clause)
            return words
        return words + clause

    def sentence(self, row: Row, style: int) -> Sentence:
        """Return the words of a sentence.

        Args:
            row: Its meaning, WIDTH integers.
            style: 62 random bits that choose among wordings of the same meaning.
        """
        link = row[m.LINK]
        if link in (m.RELATIVE_AGENT, m.RELATIVE_PATIENT):
            role = m.AGENT if link == m.RELATIVE_AGENT else m.PATIENT
            words, root = self._clause(row, m.FIRST, "root", None, style, relative=role)
        elif link == m.COMPLEMENT:
            words, root = self._clause(row, m.FIRST, "root", None, style, complement=True)
        else:
            words, root = self._clause(row, m.FIRST, "root", None, style)
            if link != m.ALONE:
                words = self._join(words, root, row, link, style)
        words.append(self.particle("STOP", "PUNCT", "punct", root, K_STOP))
        return words

    def _join(self, words: Sentence, root: Word, row: Row, link: int, style: int) -> Sentence:
        if link == m.BECAUSE:
            second, verb = self._clause(row, m.SECOND, "advcl", root, style >> 5)
            second = self._subordinate(second, "BECAUSE", verb)
            comma = self.particle("COMMA", "PUNCT", "punct", verb, K_COMMA)
            if (style >> 10) & 1 or self._object_first:
                return [*second, comma, *words]
            return [*words, comma, *second]
        second, verb = self._clause(row, m.SECOND, "conj", root, style >> 5)
        linker = self.particle(_LINK_WORDS[link], "CCONJ", "cc", verb, m.SECOND << 4 | K_MARK)
        comma = self.particle("COMMA", "PUNCT", "punct", verb, K_COMMA)
        return [*words, comma, linker, *second]
