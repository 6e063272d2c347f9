from hypothesis import given, settings
from hypothesis import strategies as st

from xling.conlang import meaning as m
from xling.conlang.language import build_languages
from xling.conlang.meaning import Source
from xling.conlang.spec import LanguageSpec
from xling.conlang.trees import alignment, conllu, iob2, written
from xling.conlang.world import World

from .conftest import small_spec
from .udrules import faults, is_projective

SIDE = st.sampled_from(["before", "after"])
TINY = {"nouns": 60, "classes": 12, "properties": 12, "events": 20, "manners": 6, "topics": 3}


@st.composite
def typologies(draw):
    """Any possible language."""
    isolating = draw(st.booleans())
    marking = st.sampled_from(["none", "particle"] if isolating else ["none", "particle", "affix"])
    case = draw(marking)
    orders = ["SVO", "SOV", "VSO", "VOS", "OVS", "OSV"] + (["free"] if case != "none" else [])
    passives = ["none", "particle", "auxiliary"] + ([] if isolating else ["affix"])
    return {
        "order": draw(st.sampled_from(orders)),
        **{
            name: draw(SIDE)
            for name in (
                "adjective", "genitive", "relative", "numeral", "determiner", "adposition",
                "oblique", "adverb", "particles",
            )
        },
        "subordinator": draw(st.sampled_from(["initial", "final"])),
        "articles": draw(st.sampled_from(["none", "word"] + ([] if isolating else ["affix"]))),
        "case": case,
        "tense": draw(st.sampled_from(["particle"] + ([] if isolating else ["affix"]))),
        "plural": draw(marking),
        "negation": draw(st.sampled_from(["particle"] + ([] if isolating else ["affix"]))),
        "passive": draw(st.sampled_from(passives)),
        "copula": draw(st.sampled_from(["always", "not-present"])),
        "verb_agreement": not isolating and draw(st.booleans()),
        "adjective_agreement": not isolating and draw(st.booleans()),
        "morphology": "isolating"
        if isolating
        else draw(st.sampled_from(["agglutinating", "fusional"])),
        "extraposition": draw(st.booleans()),
        "script": draw(st.sampled_from(["latin", "greek", "kana", "georgian"])),
        "anchors": draw(st.sampled_from([0.0, 0.2])),
        "cognates": draw(st.sampled_from([0.0, 0.5])),
    }  # fmt: skip


def heads_of(sentence):
    place = {id(word): number for number, word in enumerate(sentence, 1)}
    return [place[id(word.head)] if word.head is not None else 0 for word in sentence]


@settings(max_examples=12, deadline=None)
@given(typologies(), st.integers(0, 1000))
def test_any_language_has_valid_trees_spans_and_alignments(typology, seed):
    spec = small_spec(
        seed=seed,
        world=TINY,
        domains={"wiki": {"sentences": 50}},
        languages={"xx": typology},
    )
    world = World(spec)
    languages = build_languages(spec, world)
    source = Source(spec, world)
    meanings, _ = source.draw("test", "wiki", "property", 0, 40)
    styles = source.styles("xx", "property", 0, 40)
    for row, style in zip(meanings.tolist(), styles, strict=True):
        base, other = (languages[name].render(row, style) for name in ("aa", "xx"))
        for sentence in (base, other):
            columns = ([w.form for w in sentence], [w.upos for w in sentence])
            relations = [word.deprel for word in sentence]
            assert faults(*columns, heads_of(sentence), relations) == []
        links = [tuple(map(int, link.split("-"))) for link in alignment(base, other).split()]
        assert links
        assert all(a < len(base) and b < len(other) for a, b in links)
        # Every content word of the meaning is said in both languages, and linked.
        content = {"VERB", "NOUN", "ADJ", "PROPN", "ADV", "NUM"}
        for number, word in enumerate(base):
            if word.upos in content:
                assert any(a == number and other[b].lexeme == word.lexeme for a, b in links), (
                    written(base, True)
                )
        assert mentions(row, world) == names_in(other)


def mentions(row, world):
    """Named entities of a meaning, with repetition."""
    columns = [
        start + role + part
        for start in (m.FIRST, m.SECOND)
        for role in m.ROLES
        for part in (m.HEAD, m.POSSESSOR)
    ]
    return sorted(row[column] for column in columns if row[column] >= world.spec.nouns)


def names_in(sentence):
    """Named entities of the IOB2 gold of a sentence, each B- tag one."""
    rows = iob2(sentence, ["X" if word.entity >= 0 else "" for word in sentence]).split("\n")
    starts = [number for number, row in enumerate(rows) if row.endswith("\tB-X")]
    return sorted(sentence[number].entity for number in starts)


def test_the_text_is_the_gold_without_its_labels(generator):
    meanings, _ = generator.source.draw("dev", "wiki", "check", 0, 50)
    for name, language in generator.languages.items():
        for row in meanings.tolist():
            sentence = language.render(row, 5)
            block = conllu(sentence, "s", language.spec.spaces, [""] * len(sentence))
            rows = [line.split("\t") for line in block.splitlines() if line[:1].isdigit()]
            text = "".join(
                row[1] + ("" if "SpaceAfter=No" in row[9] else " ") for row in rows
            ).rstrip()
            assert text == written(sentence, language.spec.spaces), name


def test_only_extraposition_and_free_order_make_crossing_arcs(generator):
    meanings, _ = generator.source.draw("text:aa", "wiki", "crossing", 0, 800)
    styles = generator.source.styles("aa", "crossing", 0, 800)

    def crossing(name):
        render = generator.languages[name].render
        pairs = zip(meanings.tolist(), styles, strict=True)
        return sum(not is_projective(heads_of(render(*pair))) for pair in pairs)

    assert crossing("mid") > 0
    assert crossing("aa") == crossing("near") == crossing("far") == 0


def test_another_style_keeps_the_words_of_the_meaning(generator):
    base = generator.languages["aa"]
    meanings, _ = generator.source.draw("parallel", "wiki", "style", 0, 100)
    changed = 0
    for row in meanings.tolist():
        one, other = base.render(row, 0), base.render(row, (1 << 62) - 1)
        content = ("NOUN", "PROPN", "VERB", "ADJ", "ADV", "NUM")
        words = [sorted(w.lexeme for w in s if w.upos in content) for s in (one, other)]
        assert words[0] == words[1]
        changed += written(one, True) != written(other, True)
    assert changed > 40


def test_a_language_orders_subject_verb_and_object_as_it_says(generator):
    world = generator.world
    event = int((world.valency == 1).nonzero()[0][0])
    row = [-1] * m.WIDTH
    row[m.LINK] = m.ALONE
    row[m.FIRST : m.FIRST + 4] = [event, m.PRESENT, 0, -1]
    row[m.FIRST + m.AGENT : m.FIRST + m.AGENT + 2] = [60, m.THE]
    row[m.FIRST + m.PATIENT : m.FIRST + m.PATIENT + 2] = [70, m.THE]
    letters = {"nsubj": "S", "root": "V", "obj": "O"}
    for order in ("SVO", "SOV", "VSO", "VOS", "OVS", "OSV"):
        spec = small_spec(languages={"xx": {"order": order}})
        sentence = build_languages(spec, world)["xx"].render(row, style=-1)
        assert "".join(letters.get(word.deprel, "") for word in sentence) == order


def test_defaults_are_the_base_language(spec):
    assert spec.languages["aa"] == LanguageSpec()
