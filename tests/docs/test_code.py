"""The Python of the pages runs, on names and files that it takes for granted made tiny."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# Sizes that tiny text cannot support.
SMALLER = {
    "size=8000": "size=120",
    "length=128, offset=17": "length=8, offset=3",
    "workers=2": "workers=1",
}
# Pages whose code a chain of their own runs.
ELSEWHERE = {"docs/bring-your-own-model.md", "docs/report.md"}


def rotated() -> dict[str, Any]:
    """Two vocabularies, one of them the other rotated and shuffled."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 10)) + 1
    rotation = np.linalg.qr(random.normal(size=(10, 10)))[0]
    partner = random.permutation(200)
    Y = np.empty_like(X)
    Y[partner] = 5 * (X + 0.1 * random.normal(size=X.shape)) @ rotation
    pairs = np.column_stack([np.arange(200), partner])
    return {"X": X, "Y": Y, "train": pairs[:100], "test": pairs[100:]}


def save_encoder(folder: Path) -> None:
    """Save a tiny BERT whose tokenizer knows the words of ``mydata``."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    special = {f"{n}_token": f"[{n.upper()}]" for n in ("pad", "unk", "cls", "sep", "mask")}
    text = "".join(p.read_text("utf-8") for p in Path("mydata").rglob("text/*/*.txt"))
    names = [*special.values(), *sorted(set(text.split()))]
    words = models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def for_alignment() -> dict[str, Any]:
    from xling.alignment.pair import AlignedPair
    from xling.encoders.encoder import Encoder
    from xling.measures import Normalizer, Procrustes

    save_encoder(Path("encoder"))
    encoders = tuple(Encoder.load("encoder", language) for language in ("en", "fr"))
    random = np.random.default_rng(0)
    fitted = [Normalizer().fit(random.normal(size=(30, 8))) for _ in encoders]
    rows = random.normal(size=(30, 8))
    pair = AlignedPair(*encoders, (1, 1), tuple(fitted), Procrustes().fit(rows, rows))
    Path("en-fr").mkdir()
    pair.save(Path("en-fr"), "a card")
    return rotated()


def for_conlang() -> dict[str, Any]:
    spec = yaml.safe_load((ROOT / "studies/worlds/presets.yaml").read_text("utf-8"))
    tasks = {task: {"train": 3, "dev": 3, "test": 3} for task in ("ner", "ud", "nli", "topics")}
    spec |= {"domains": {"wiki": {"sentences": 60}}, "parallel": {"heldout": 10, "paraphrase": 5}}
    Path("studies/worlds").mkdir(parents=True)
    Path("studies/worlds/presets.yaml").write_text(yaml.safe_dump(spec | tasks), encoding="utf-8")
    return {}


def for_probes() -> dict[str, Any]:
    from xling.results import Score, as_table

    for language in ("en", "fr"):
        folder = Path("mydata/parallel/pud")
        folder.mkdir(exist_ok=True)
        source = Path("mydata/parallel/news") / f"{language.replace('fr', 'sw')}.txt"
        (folder / f"{language}.txt").write_bytes(source.read_bytes())
    save_encoder(Path("FacebookAI/xlm-roberta-base"))
    place = Score("retrieval-anchor-free", "pud", "en-fr", layer=0, metric="p@1", value=0.5)
    layers = [np.random.default_rng(n).normal(size=(20, 4)) for n in range(3)]
    return {
        "scores": as_table([place]),
        "layers_of_a": layers,
        "layers_of_b": layers,
        "X": layers[0],
        "Y": layers[1],
    }


def for_python() -> dict[str, Any]:
    for name in ("multi", "en", "sw"):
        save_encoder(Path("models") / name)
    return {}


def for_vocabulary() -> dict[str, Any]:
    return {"indices": np.arange(3)}


# What each page with Python takes for granted.
PREPARE: dict[str, Callable[[], dict[str, Any]]] = {
    "docs/audit.md": for_python,
    "docs/alignment.md": for_alignment,
    "docs/conlang.md": for_conlang,
    "docs/data.md": dict,
    "docs/probes.md": for_probes,
    "docs/python.md": for_python,
    "docs/vocabulary.md": for_vocabulary,
}


def test_every_page_with_python_is_run():
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    written = {p for p in pages if "```python\n" in (ROOT / p).read_text("utf-8")}
    assert written == set(PREPARE) | ELSEWHERE


@pytest.mark.parametrize("page", PREPARE)
@pytest.mark.usefixtures("workplace")
def test_the_python_of_a_page_runs(page, blocks, capsys):
    names = PREPARE[page]()
    for language, text in blocks(page):
        if language == "python":
            for large, small in SMALLER.items():
                text = text.replace(large, small)
            exec(compile(text, page, "exec"), names)
    if page == "docs/audit.md":
        assert {"best-layer", "languages"} <= {one.kind for one in names["card"].advice}
        assert Path("audit-of-lists/audit.html").is_file()
    if page == "docs/alignment.md":
        assert names["forward"].precision(1) > 0.95
        assert names["backward"].mrr > 0.95
    if page == "docs/data.md":
        assert names["data"].languages == ("en", "sw")
    if page == "docs/probes.md":
        assert {"p@1", "p@1-centred"} <= set(names["scores"].metric)
        assert "untrained" in set(names["scores"].condition)
    if page == "docs/python.md":
        table = names["both_ways"].pivot_table(index="layer", columns="condition", values="value")
        assert set(table.columns) == {"trained", "untrained", "chance"}
        assert set(names["scores"].language) == {"en", "sw"}
        assert names["found"].metric.eq("p@1-csls").any()
        assert Path("aligned-en-sw/aligned.json").is_file()
    if page == "docs/vocabulary.md":
        assert names["rows"].shape == (3, 8)
