"""Well-known data sets on the hub: where, at which commit, with which columns.

Each preset is the parquet form of a data set, so that no code of its authors runs. Data sets that
were published as a script or as JSON have that form on the branch that the hub's converter writes
(``refs/convert/parquet``); the commits here are commits of that branch. Columns and file names are
those of the data set cards and file lists on https://huggingface.co/datasets/NAME.
"""

# Codes of FLORES-200 (https://github.com/facebookresearch/flores/tree/main/flores200), which
# SIB-200 and FineWeb-2 use; FineWeb-2 has no English.
_FLORES = {
    "ar": "arb_Arab",
    "bg": "bul_Cyrl",
    "de": "deu_Latn",
    "el": "ell_Grek",
    "en": "eng_Latn",
    "es": "spa_Latn",
    "fr": "fra_Latn",
    "hi": "hin_Deva",
    "ru": "rus_Cyrl",
    "sw": "swh_Latn",
    "th": "tha_Thai",
    "tr": "tur_Latn",
    "ur": "urd_Arab",
    "vi": "vie_Latn",
    "zh": "zho_Hans",
}
# The paper's treebanks; for XNLI's other languages, one that has train, dev and test.
_TREEBANKS = {
    "ar": "ar_padt",
    "bg": "bg_btb",
    "de": "de_gsd",
    "el": "el_gdt",
    "en": "en_ewt",
    "es": "es_gsd",
    "fr": "fr_gsd",
    "hi": "hi_hdtb",
    "ru": "ru_gsd",
    "tr": "tr_imst",
    "ur": "ur_udtb",
    "vi": "vi_vtb",
    "zh": "zh_gsd",
}
_TATOEBA = {
    "ar": "ara",
    "bg": "bul",
    "de": "deu",
    "el": "ell",
    "es": "spa",
    "fr": "fra",
    "hi": "hin",
    "ru": "rus",
    "sw": "swh",
    "th": "tha",
    "tr": "tur",
    "ur": "urd",
    "vi": "vie",
    "zh": "cmn",
}
_CONVERTED = "{config}/{split}/*.parquet"
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}

# Card of facebook/xnli: one configuration per language, columns premise, hypothesis and label
# (0 entailment, 1 neutral, 2 contradiction), validation 2,490 and test 5,010 pairs; the pairs of
# all languages are in the same order.
_XNLI = {
    "data": "facebook/xnli",
    "revision": "b8dd5d7af51114dbda02c0e3f6133f332186418e",
    "files": "{config}/{split}-*.parquet",
    "config": "{language}",
    "licence": "CC-BY-NC-4.0",
}
# Universal Dependencies 2.7. The loading script of universal_dependencies wrote columns idx, text,
# tokens, lemmas, upos, xpos, feats, head, deprel, deps, misc with one item per line of CoNLL-U, so
# that multiword ranges and empty nodes are items too, whose head is "None".
_UD = {
    "data": "universal-dependencies/universal_dependencies",
    "revision": "11134f190b6e95e1f6cdf4a700d0c73d47c2662c",
    "files": _CONVERTED,
    "licence": "that of each treebank, mostly CC-BY-SA-4.0",
}

PRESETS: dict[str, dict[str, dict[str, object]]] = {
    "text": {
        # Card of wikimedia/wikipedia: columns id, url, title, text; cleaned articles, paragraphs
        # and headings separated by line ends.
        "wikipedia": {
            "data": "wikimedia/wikipedia",
            "revision": "b04c8d1ceb2f5cd4588862100d08de323dccfbaa",
            "files": "{config}/{split}-*.parquet",
            "config": "20231101.{language}",
            "licence": "CC-BY-SA-3.0 and GFDL",
        },
        # Card of HuggingFaceFW/fineweb-2: columns text, id, dump, url, date and others; files
        # data/LANGUAGE/train/000_00000.parquet. Filtered Common Crawl in everything but English.
        "fineweb-2": {
            "data": "HuggingFaceFW/fineweb-2",
            "revision": "af9c13333eb981300149d5ca60a8e9d659b276b9",
            "files": "data/{config}/{split}/*.parquet",
            "configs": {
                **{code: name for code, name in _FLORES.items() if code != "en"},
                "zh": "cmn_Hani",
            },
            "licence": "ODC-By-1.0",
        },
    },
    "parallel": {
        "xnli": {
            **_XNLI,
            "splits": ["validation", "test"],
            "columns": ["premise", "hypothesis"],
            "same": "label",
        },
        # Parallel UD: the treebanks xx_pud have the same 1,000 sentences under the same names.
        "pud": {
            **_UD,
            "config": "{language}_pud",
            "splits": ["test"],
            "columns": ["text"],
            "same": "idx",
            "licence": "CC-BY-SA-3.0",
        },
    },
    "pairs": {
        # LASER's Tatoeba sets (Artetxe & Schwenk 2019), as MTEB has them: configurations such as
        # fra-eng, columns sentence1 (French), sentence2 (English) and lang, split test.
        "tatoeba": {
            "data": "mteb/tatoeba-bitext-mining",
            "revision": "7d908cbaf8ab2c8bab54717c509d2046ccdb9eef",
            "files": _CONVERTED,
            "configs": {code: f"{name}-eng" for code, name in _TATOEBA.items()},
            "pivot": "en",
            "split": "test",
            "columns": ["sentence1", "sentence2"],
            "licence": "CC-BY-2.0-FR",
        },
    },
    "nli": {
        "xnli": {
            **_XNLI,
            "splits": _SPLITS,
            "fields": {"premise": "premise", "hypothesis": "hypothesis", "label": "label"},
            "names": ["entailment", "neutral", "contradiction"],
        },
    },
    "ner": {
        # Card of unimelb-nlp/wikiann (the balanced splits of Rahimi et al. 2019): columns tokens,
        # ner_tags (classes O, B-PER, I-PER, B-ORG, I-ORG, B-LOC, I-LOC), langs, spans.
        "wikiann": {
            "data": "unimelb-nlp/wikiann",
            "revision": "f89f2fe2694613baf6bb62e7393290846127adbf",
            "files": _CONVERTED,
            "config": "{language}",
            "splits": _SPLITS,
            "fields": {"tokens": "tokens", "tags": "ner_tags"},
            "names": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"],
            "licence": "not stated",
        },
    },
    "ud": {
        "universal-dependencies": {
            **_UD,
            "configs": _TREEBANKS,
            "splits": _SPLITS,
            "fields": {
                "id": "idx",
                "text": "text",
                "tokens": "tokens",
                "upos": "upos",
                "head": "head",
                "deprel": "deprel",
            },
        },
    },
    "topics": {
        # Card of Davlan/sib200 (Adelani et al. 2024): columns index_id (the sentence's number in
        # FLORES-200, the same in all languages), category, text.
        "sib200": {
            "data": "Davlan/sib200",
            "revision": "c56969d0fd09c04be049cb64daf11de2a839a311",
            "files": _CONVERTED,
            "configs": _FLORES,
            "splits": _SPLITS,
            "fields": {"id": "index_id", "label": "category", "text": "text"},
            "licence": "CC-BY-SA-4.0",
        },
    },
}
