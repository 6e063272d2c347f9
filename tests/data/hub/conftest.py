"""Tiny data sets with the columns, classes and file names of the real ones on the hub."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Sequence, Value, disable_progress_bars

from xling.data.hub.fill import fill

LANGUAGES = ("en", "fr", "de", "ru", "zh")
FLORES = {"en": "eng_Latn", "fr": "fra_Latn", "de": "deu_Latn", "ru": "rus_Cyrl", "zh": "zho_Hans"}
TATOEBA = {"fr": "fra-eng", "de": "deu-eng", "ru": "rus-eng", "zh": "cmn-eng"}
TREEBANKS = {"en": "en_ewt", "fr": "fr_gsd", "de": "de_gsd", "ru": "ru_gsd", "zh": "zh_gsd"}
SPLITS = ("train", "validation", "test")
NLI = ("entailment", "neutral", "contradiction")
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
TOPICS = ("geography", "health", "sports")
# The order of the classes of Universal Dependencies on the hub.
UPOS = (
    *("NOUN", "PUNCT", "ADP", "NUM", "SYM", "SCONJ", "ADJ", "PART", "DET", "CCONJ", "PROPN"),
    *("PRON", "X", "_", "ADV", "INTJ", "VERB", "AUX"),
)
WORDS = {
    "en": ("the", "old", "house", "stands", "by", "a", "green", "river", "near", "Rome"),
    "fr": ("la", "vieille", "maison", "est", "au", "bord", "du", "fleuve", "vert", "Paris"),
    "de": ("das", "alte", "Haus", "steht", "am", "grünen", "Fluss", "nahe", "bei", "Köln"),
    "ru": ("старый", "дом", "стоит", "у", "зелёной", "реки", "возле", "города", "и", "Рим"),
    "zh": ("那", "座", "老", "房子", "在", "绿色", "河", "边", "靠近", "罗马"),
}


PAPER = Path(__file__).resolve().parents[3] / "studies/paper/data.yaml"


@pytest.fixture(scope="session")
def mirror(tmp_path_factory):
    """A folder of all the data sets, and functions that say what is in them."""
    disable_progress_bars()
    root = tmp_path_factory.mktemp("mirror")
    build(root)
    contents = (articles, pages, nli_rows, entity_rows, topic_rows, pair_rows, trees, sentence)
    known = {function.__name__: function for function in contents}
    return SimpleNamespace(root=root, languages=LANGUAGES, written=written, **known)


@pytest.fixture(scope="session")
def paper_data(mirror, tmp_path_factory):
    """What the paper's specification makes of the mirror, and of a dictionary."""
    folder = tmp_path_factory.mktemp("paper")
    spec = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    words = {"source": "made for the test", "licence": "CC0-1.0"}
    spec["dictionaries"] = {"en-fr": {"train": "train.txt", "test": "test.txt", **words}}
    (folder / "train.txt").write_text("house maison\nhouse\tdemeure\n")
    (folder / "test.txt").write_text("old vieille\n")
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    fill(folder / "spec.yaml", folder / "data", mirror.root)
    return folder / "data"


def sentence(language: str, number: int, length: int = 9) -> list[str]:
    """Words of a sentence that no other number has (the last one counts)."""
    words = WORDS[language]
    return [words[(number * (i + 1) + i) % len(words)] for i in range(length)] + [str(number)]


def written(language: str, number: int) -> str:
    return ("" if language == "zh" else " ").join(sentence(language, number)) + "."


def save(path: Path, columns: dict, features: Features) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=features).to_parquet(path)


def build(root: Path) -> None:
    """Write every data set below ``root`` as OWNER/NAME."""
    for position, language in enumerate(LANGUAGES):
        _wikipedia(root / "wikimedia/wikipedia", language)
        if language != "en":
            _web(root / "HuggingFaceFW/fineweb-2", language)
            _tatoeba(root / "mteb/tatoeba-bitext-mining", language, position)
        for number, split in enumerate(SPLITS):
            start = 1000 * (number + 1)
            _xnli(root / "facebook/xnli", language, split, start)
            _wikiann(root / "unimelb-nlp/wikiann", language, split, start + 10_000 * position)
            _sib(root / "Davlan/sib200", language, split, start)
            config = TREEBANKS[language]
            _trees(root, config, language, split, start + 10_000 * position)
        _trees(root, f"{language}_pud", language, "test", 900)


def articles(language: str) -> list[str]:
    """Articles with headings, tabs, odd separators, loose accents, and a test sentence."""
    texts = [
        f"{written(language, 10 * i)}\n\nHistory\n{written(language, 10 * i + 1)}"
        for i in range(40)
    ]
    texts[1] += "\n  a\ttab, a\u2028separator and cafe\u0301\ufeff \n"
    texts[2] += f"\n{written(language, 3000)}\n"  # a premise of XNLI's test
    return texts


def pages(language: str) -> list[str]:
    return [written(language, 5000 + i) for i in range(200)]


def nli_rows(language: str, start: int) -> list[tuple[str, str, int]]:
    """Three hypotheses for each premise, as in XNLI."""
    return [
        (written(language, start + i - i % 3), written(language, start + 300 + i), i % 3)
        for i in range(12)
    ]


def entity_rows(language: str, start: int) -> list[tuple[list[str], list[int]]]:
    return [(sentence(language, start + i), [0, 5, 6, 0, 1, 2, 3, 0, 0, 0]) for i in range(8)]


def topic_rows(language: str, start: int) -> list[tuple[int, str, str]]:
    return [(start + i, TOPICS[i % 3], written(language, start + 600 + i)) for i in range(6)]


def pair_rows(language: str, position: int) -> list[tuple[str, str]]:
    first = 20_000 * position
    return [(written(language, first + i), written("en", first + i)) for i in range(10)]


def trees(language: str, start: int) -> list[dict]:
    """Trees with a multiword range and an empty node, as the script of the hub wrote them."""
    found = []
    for i in range(8):
        forms = sentence(language, start + i)
        heads = ["0", *(str(j) for j in range(1, len(forms)))]
        upos = [UPOS.index("VERB"), *[UPOS.index("NOUN")] * (len(forms) - 1)]
        relations = ["root", *["obj"] * (len(forms) - 1)]
        tokens = [*forms[:2], "".join(forms[2:4]), *forms[2:], "empty"]
        mark = UPOS.index("_")
        found.append(
            {
                "idx": f"s{start + i}",
                "text": written(language, start + 700 + i),
                "tokens": tokens,
                "lemmas": tokens,
                "upos": [*upos[:2], mark, *upos[2:], mark],
                "xpos": ["None"] * len(tokens),
                "feats": ["None"] * len(tokens),
                "head": [*heads[:2], "None", *heads[2:], "None"],
                "deprel": [*relations[:2], "_", *relations[2:], "None"],
                "deps": ["None"] * len(tokens),
                "misc": ["None"] * len(tokens),
            }
        )
    return found


def _wikipedia(root: Path, language: str) -> None:
    texts = articles(language)
    strings = Features({name: Value("string") for name in ("id", "url", "title", "text")})
    for shard, part in enumerate((texts[:25], texts[25:])):
        names = [f"{shard}-{i}" for i in range(len(part))]
        columns = {"id": names, "url": names, "title": names, "text": part}
        save(root / f"20231101.{language}/train-0000{shard}-of-00002.parquet", columns, strings)


def _web(root: Path, language: str) -> None:
    config = "cmn_Hani" if language == "zh" else FLORES[language]
    texts = pages(language)
    features = Features({"text": Value("string"), "id": Value("string"), "score": Value("float64")})
    columns = {
        "text": texts,
        "id": [str(i) for i in range(len(texts))],
        "score": [0.9] * len(texts),
    }
    save(root / f"data/{config}/train/000_00000.parquet", columns, features)


def _xnli(root: Path, language: str, split: str, start: int) -> None:
    premises, hypotheses, labels = zip(*nli_rows(language, start), strict=True)
    features = Features(
        {
            "premise": Value("string"),
            "hypothesis": Value("string"),
            "label": ClassLabel(names=list(NLI)),
        }
    )
    columns = {"premise": premises, "hypothesis": hypotheses, "label": labels}
    save(root / f"{language}/{split}-00000-of-00001.parquet", columns, features)


def _wikiann(root: Path, language: str, split: str, start: int) -> None:
    tokens, tags = zip(*entity_rows(language, start), strict=True)
    features = Features(
        {
            "tokens": Sequence(Value("string")),
            "ner_tags": Sequence(ClassLabel(names=list(TAGS))),
            "langs": Sequence(Value("string")),
            "spans": Sequence(Value("string")),
        }
    )
    columns = {
        "tokens": tokens,
        "ner_tags": tags,
        "langs": [[language] * len(row) for row in tokens],
        "spans": [["LOC: x"]] * len(tokens),
    }
    save(root / f"{language}/{split}/0000.parquet", columns, features)


def _sib(root: Path, language: str, split: str, start: int) -> None:
    names, labels, texts = zip(*topic_rows(language, start), strict=True)
    features = Features(
        {"index_id": Value("int64"), "category": Value("string"), "text": Value("string")}
    )
    columns = {"index_id": names, "category": labels, "text": texts}
    save(root / f"{FLORES[language]}/{split}/0000.parquet", columns, features)


def _tatoeba(root: Path, language: str, position: int) -> None:
    theirs, english = zip(*pair_rows(language, position), strict=True)
    features = Features({name: Value("string") for name in ("sentence1", "sentence2", "lang")})
    config = TATOEBA[language]
    columns = {"sentence1": theirs, "sentence2": english, "lang": [config] * len(theirs)}
    save(root / f"{config}/test/0000.parquet", columns, features)


def _trees(root: Path, config: str, language: str, split: str, start: int) -> None:
    rows = trees(language, start)
    features = Features(
        {
            **{name: Value("string") for name in ("idx", "text")},
            **{
                name: Sequence(Value("string"))
                for name in ("tokens", "lemmas", "xpos", "feats", "head", "deprel", "deps", "misc")
            },
            "upos": Sequence(ClassLabel(names=list(UPOS))),
        }
    )
    columns = {name: [row[name] for row in rows] for name in features}
    path = root / f"universal-dependencies/universal_dependencies/{config}/{split}/0000.parquet"
    save(path, columns, features)
