import itertools
from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from xling.artefact import RECORD
from xling.conlang.generate import DataGenerator, generate
from xling.conlang.meaning import identifiers
from xling.data.check import check
from xling.data.layout import DataFolder

from .conftest import PRESETS, small_spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory, spec):
    out = tmp_path_factory.mktemp("conlang") / "data"
    generate(spec, out)
    return out


def contents(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != RECORD
    }


@pytest.mark.slow
def test_two_workers_write_the_same_bytes_as_one(folder, spec, tmp_path):
    generate(spec, tmp_path / "two", workers=2)
    assert contents(tmp_path / "two") == contents(folder)


@pytest.mark.slow
def test_another_seed_gives_another_world(folder, tmp_path):
    sizes = dict.fromkeys(("train", "dev", "test"), 0)
    spec = small_spec(seed=4, languages={}, **dict.fromkeys(("ner", "ud", "nli", "topics"), sizes))
    generate(spec, tmp_path / "other")
    own = (tmp_path / "other/text/wiki/aa.txt").read_text().split()
    assert len({*own} & {*(folder / "text/wiki/aa.txt").read_text().split()}) < 0.1 * len({*own})


def test_a_second_run_does_nothing(folder, spec):
    before = (folder / RECORD).stat().st_mtime_ns
    generate(spec, folder)
    assert (folder / RECORD).stat().st_mtime_ns == before


def test_the_folder_passes_the_check(folder):
    assert check(folder).problems == []


def test_parts_have_the_sizes_of_the_spec(folder):
    data = DataFolder(folder)
    assert data.languages == ("aa", *PRESETS)
    for language in data.languages:
        assert len(data.text("wiki", language).read_text().splitlines()) == 600
        for split, size in (("train", 90), ("dev", 30), ("test", 30)):
            assert len(data.nli(language, split)) == size
            assert len(data.topics(language, split)) == size
            assert len(list(data.ner(language, split))) == size
            assert len(list(data.treebank(language, split))) == size
    assert set(data.parallel("paraphrase")) == {"aa", "aa2"}


def test_alignments_join_words_of_their_lines(folder):
    for name in PRESETS:
        home = folder / "parallel" / "heldout"
        unspaced = home / f"{name}.words"
        target = unspaced if unspaced.is_file() else home / f"{name}.txt"
        lines = zip(
            (home / "aa.txt").read_text().splitlines(),
            target.read_text().splitlines(),
            (home / f"aa-{name}.align").read_text().splitlines(),
            strict=True,
        )
        for source, line, links in lines:
            pairs = [tuple(map(int, link.split("-"))) for link in links.split()]
            assert max(a for a, _ in pairs) < len(source.split())
            assert max(b for _, b in pairs) < len(line.split())
    assert (folder / "parallel/heldout/far.words").is_file()


def test_dictionaries_share_no_source_word_and_weigh_one(folder):
    data = DataFolder(folder)
    for name in PRESETS:
        parts = [data.dictionary("aa", name, split) for split in ("train", "test")]
        sources = [{source for source, _, _ in part} for part in parts]
        assert not sources[0] & sources[1]
        assert len(sources[1]) / len(sources[0] | sources[1]) == pytest.approx(0.3, abs=0.01)
        for part in parts:
            sums = Counter()
            for source, _, weight in part:
                sums[source] += weight
            assert all(total == pytest.approx(1, abs=1e-3) for total in sums.values())


def test_no_meaning_is_in_two_texts_or_in_text_and_evaluation(generator):
    source = generator.source
    found = {}
    for owner in source.owners.names:
        domain = "web" if owner == "text:near" else "wiki"
        meanings, _ = source.draw(owner, domain, "any", 0, 1500)
        found[owner] = set(identifiers(meanings).tolist())
    for one, other in itertools.combinations(found, 2):
        assert not found[one] & found[other]


def test_parallel_lines_to_learn_from_have_meanings_that_the_held_out_lack():
    generator = DataGenerator(small_spec(parallel={"heldout": 300, "train": 300}))
    heldout, train = (
        set(identifiers(generator.parallel_meanings(name, 300)).tolist())
        for name in ("heldout", "train")
    )
    assert len(heldout) == len(train) == 300
    assert not heldout & train


def test_parallel_text_says_the_same_in_every_language(tmp_path):
    sizes = dict.fromkeys(("train", "dev", "test"), 0)
    spec = small_spec(
        parallel_text=True,
        languages={"bb": {"preset": "twin", "synonyms": 0.0}, "aa": {"synonyms": 0.0}},
        **dict.fromkeys(("ner", "ud", "nli", "topics"), sizes),
    )
    generate(spec, tmp_path / "same")
    base, other = (
        (tmp_path / f"same/text/wiki/{name}.txt").read_text().splitlines() for name in ("aa", "bb")
    )
    same_length = sum(
        abs(len(one.split()) - len(two.split())) <= 2 for one, two in zip(base, other, strict=True)
    )
    assert same_length > 0.95 * len(base)


@pytest.mark.parametrize("name", ["near", "mid", "far"])
def test_anchors_have_the_dialled_share(generator, name):
    """Within a point and a half of the dial, as the mean of both languages' running tokens."""
    assert share_of_anchors(generator, name) == pytest.approx(
        generator.languages[name].spec.anchors, abs=0.015
    )


def test_without_anchors_no_string_is_shared(generator):
    assert share_of_anchors(generator, "twin") == 0
    base, twin = (generator.languages[name].lexicon.all_forms() for name in ("aa", "twin"))
    assert not set("".join(base)) & set("".join(twin))


def share_of_anchors(generator, name):
    source, counts = generator.source, []
    for language in ("aa", name):
        meanings, _ = source.draw(f"text:{language}", "wiki", "share", 0, 4000)
        styles = source.styles(language, "share", 0, 4000)
        render = generator.languages[language].grammar.sentence
        counts.append(
            Counter(
                word.form
                for row, style in zip(meanings.tolist(), styles, strict=True)
                for word in render(row, style)
            )
        )
    shared = set(counts[0]) & set(counts[1])
    return sum(sum(one[word] for word in shared) / one.total() for one in counts) / 2


def test_topics_can_be_learned_from_words(generator):
    source, base = generator.source, generator.languages["aa"]

    def part(split, count):
        meanings, topics = source.draw(split, "wiki", "learn", 0, count, length=2)
        lines = [" ".join(w.form for w in base.render(row)) for row in meanings.tolist()]
        joined = [" ".join(lines[at : at + 2]) for at in range(0, count, 2)]
        return joined, topics[::2]

    vectorizer = CountVectorizer(tokenizer=str.split, lowercase=False, token_pattern=None)
    texts, topics = part("train", 6000)
    model = LogisticRegression(max_iter=200).fit(vectorizer.fit_transform(texts), topics)
    texts, topics = part("test", 1000)
    majority = Counter(topics.tolist()).most_common(1)[0][1] / len(topics)
    assert model.score(vectorizer.transform(texts), topics) > majority + 0.3


def test_names_and_trees_are_neither_trivial_nor_noise(generator):
    """A lookup of each word's most frequent label does well; one label for all does not."""
    source, base = generator.source, generator.languages["aa"]
    seen: dict[str, Counter[str]] = {}

    def words(split):
        meanings, _ = source.draw(split, "wiki", "lookup", 0, 2000)
        entities, nouns = generator.world.entities, generator.world.spec.nouns
        for row in meanings.tolist():
            for word in base.render(row):
                yield word, entities.type_of(word.entity - nouns) or "O"

    for word, label in words("train"):
        seen.setdefault(word.form, Counter())[label] += 1
    inside = [(word, label) for word, label in words("test") if label != "O"]
    right = sum(
        word.form in seen and seen[word.form].most_common(1)[0][0] == label
        for word, label in inside
    )
    assert 0.6 < right / len(inside) < 0.99
