"""An exported pair is the same each time and opens with what users have."""

import json
import shutil
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertForMaskedLM
from transformers.utils import logging as transformers_logging

import xling
from xling.alignment.card import Origin
from xling.alignment.config import ExportSettings
from xling.alignment.sentence_stage import export_pair
from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.representations import run_body
from xling.errors import XlingError

SETTINGS = ExportSettings(languages=("aa", "bb"), train="train", layer=1, resamples=0)
NORMALIZATIONS = ["none", "centre", "unit", "iterative"]


@pytest.fixture(scope="session")
def headed(models_of, tmp_path_factory):
    """A masked language model in half precision, which has a head and no pooler, and a card."""
    folder = tmp_path_factory.mktemp("headed")
    model = AutoModel.from_pretrained(models_of["aa"])
    whole = BertForMaskedLM(model.config)
    whole.bert.load_state_dict(model.state_dict(), strict=False)
    whole.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(models_of["aa"]).save_pretrained(folder)
    card = "---\nlicense: mit\nbase_model:\n- somebody/encoder\n---\n# A model\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def pairs(models_of, data, tmp_path_factory):
    """An exported pair for each normalisation."""
    root = tmp_path_factory.mktemp("pairs")
    for name in NORMALIZATIONS:
        settings = SETTINGS.model_copy(update={"normalization": name})
        export_pair(models_of["aa"], models_of["wide"], data, root / name, settings)
    return root


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_exports_are_the_same_bytes(headed, models_of, data, tmp_path):
    for name in ("one", "other"):
        torch.manual_seed(len(name))
        export_pair(headed, models_of["wide"], data, tmp_path / name, SETTINGS)
    assert content(tmp_path / "one") == content(tmp_path / "other")


def test_what_the_source_does_not_have_is_not_written(headed, models_of, data, tmp_path):
    export_pair(headed, models_of["wide"], data, tmp_path / "pair", SETTINGS)
    written = load_file(tmp_path / "pair" / "aa" / "model.safetensors")
    source = load_file(headed / "model.safetensors")
    assert not any(name.startswith("pooler") for name in written)
    for name, tensor in written.items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, source[f"bert.{name}"])
    assert "pooler.dense.weight" in load_file(tmp_path / "pair" / "bb" / "model.safetensors")
    lines = DataFolder(data).parallel("test", "aa", "bb")["aa"]
    again = xling.load_aligned(tmp_path / "pair")
    assert again.source.model.dtype == torch.float32
    assert np.isfinite(again.encode(lines, "aa")).all()


def test_a_weight_that_no_text_uses_is_looked_at_too(models_of, data, tmp_path):
    folder = tmp_path / "diverged"
    shutil.copytree(models_of["aa"], folder)
    weights = load_file(folder / "model.safetensors")
    unknown = AutoTokenizer.from_pretrained(folder).unk_token_id
    weights["embeddings.word_embeddings.weight"][unknown, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(XlingError, match="holds NaN or infinity"):
        export_pair(folder, models_of["wide"], data, tmp_path / "pair", SETTINGS)
    assert not (tmp_path / "pair").exists()


def test_the_card_says_licence_and_origin(headed, models_of, data, tmp_path):
    def front(settings, one, other):
        out = tmp_path / f"{settings.license}{one.name}{other.name}"
        export_pair(one, other, data, out, settings)
        return (out / "README.md").read_text(encoding="utf-8").split("---")[1]

    half_known = front(SETTINGS, headed, models_of["wide"])
    assert 'license: unknown\nbase_model: ["somebody/encoder"]\n' in half_known
    nothing = front(SETTINGS, models_of["aa"], models_of["wide"])
    assert "license: unknown\nbase_model: unknown\n" in nothing
    said = SETTINGS.model_copy(update={"license": "apache-2.0"})
    assert "license: apache-2.0\n" in front(said, models_of["aa"], models_of["wide"])
    assert "license: mit\n" in front(SETTINGS, headed, headed)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("", "unknown"),
        ("# no front matter\nlicense: mit\n", "unknown"),
        ("---\nlicense: [mit, cc-by-4.0]\n---\n", "mit and cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "my-own"),
        ("---\nlicense: {a: 1}\n---\n", "unknown"),
        ("---\n: [\n---\n", "unknown"),
    ],
)
def test_cards_of_models_are_read_as_far_as_they_go(tmp_path, card, expected):
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert Origin.of_folder(tmp_path).license == expected


def test_a_model_in_the_cache_of_the_hub_has_its_name(tmp_path):
    folder = tmp_path / "models--some-body--multi.lingual" / "snapshots" / "0123"
    folder.mkdir(parents=True)
    origin = Origin.of_folder(folder)
    assert (origin.name, origin.base_models) == (
        "some-body/multi.lingual",
        ("some-body/multi.lingual",),
    )


def test_the_tokenizer_has_a_name_that_older_versions_know(pairs, models_of, data):
    for language, model in (("aa", "aa"), ("bb", "wide")):
        folder = pairs / "none" / language
        said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        assert said["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert not {"backend", "extra_special_tokens"} & said.keys()
        lines = DataFolder(data).parallel("test", "aa", "bb")[language]
        one, other = (AutoTokenizer.from_pretrained(place) for place in (models_of[model], folder))
        assert one(lines)["input_ids"] == other(lines)["input_ids"]
        assert one.all_special_ids == other.all_special_ids


def vectors_by_modules(folder, lines):
    """What the modules of a folder say, carried out by hand."""
    encoder = Encoder.load(folder, "xx")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    assert [module["idx"] for module in modules] == list(range(len(modules)))
    rows = []
    for line in lines:
        encoded = encoder.tokenizer(line, return_tensors="pt")
        with torch.no_grad():
            hidden = run_body(encoder.body, encoded["input_ids"], encoded["attention_mask"])
        tokens, vector = torch.stack(hidden)[:, 0], None
        for module in modules[1:]:
            place = folder / module["path"]
            config = json.loads((place / "config.json").read_text(encoding="utf-8"))
            weights = place / "model.safetensors"
            tensors = load_file(weights) if weights.is_file() else {}
            kind = module["type"].removeprefix("sentence_transformers.models.")
            if kind == "WeightedLayerPooling":
                share = tensors["layer_weights"]
                assert len(share) == config["num_hidden_layers"] + 1
                tokens = (share[:, None, None] * tokens).sum(0) / share.sum()
            elif kind == "WordWeights":
                names = [config["vocab"][number] for number in encoded["input_ids"][0]]
                weight = torch.tensor([config["word_weights"].get(name, 1.0) for name in names])
            elif kind == "Pooling":
                assert config["pooling_mode_mean_tokens"]
                vector = (weight[:, None] * tokens).sum(0) / weight.sum()
            elif kind == "Dense":
                assert config["activation_function"] == "torch.nn.modules.linear.Identity"
                vector = tensors["linear.weight"] @ vector + tensors["linear.bias"]
            else:
                assert kind == "Normalize"
                vector = vector / vector.norm()
        rows.append(vector.numpy())
    return np.stack(rows)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_modules_give_the_vectors_of_the_pair(pairs, data, name):
    pair = xling.load_aligned(pairs / name)
    lines = DataFolder(data).parallel("test", "aa", "bb")
    for language in ("aa", "bb"):
        texts = [*lines[language][:20], "a1 unheard-of b2"]
        found = vectors_by_modules(pairs / name / language, texts)
        np.testing.assert_allclose(found, pair.encode(texts, language), atol=2e-6)


def test_a_router_leads_each_language_to_its_modules(pairs):
    folder = pairs / "iterative"
    router = json.loads((folder / "router_config.json").read_text(encoding="utf-8"))
    assert list(router["structure"]) == ["aa", "bb"]
    assert router["parameters"]["default_route"] is None
    for language, paths in router["structure"].items():
        modules = json.loads((folder / language / "modules.json").read_text(encoding="utf-8"))
        assert [router["types"][path] for path in paths] == [module["type"] for module in modules]
        assert all((folder / path).is_dir() for path in paths)
    top = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    assert [module["type"] for module in top] == ["sentence_transformers.models.Router"]


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_sentence_transformers_opens_it(pairs, data, name):
    reason = "no sentence-transformers here: the modules are carried out by hand instead"
    library = pytest.importorskip("sentence_transformers", reason=reason)
    pair = xling.load_aligned(pairs / name)
    lines = DataFolder(data).parallel("test", "aa", "bb")
    both = library.SentenceTransformer(str(pairs / name))
    for language in ("aa", "bb"):
        alone = library.SentenceTransformer(str(pairs / name / language))
        for vectors in (alone.encode(lines[language]), both.encode(lines[language], task=language)):
            np.testing.assert_allclose(vectors, pair.encode(lines[language], language), atol=2e-6)


def test_a_special_token_in_other_letters_keeps_its_weight(models_of):
    """sentence-transformers looks names up in lower case too."""
    from xling.alignment.pair import _weights_of_tokens

    encoder = Encoder.load(models_of["aa"], "aa")
    encoder.tokenizer.add_special_tokens({"bos_token": "a1"})
    encoder.tokenizer.get_vocab = lambda: {"a1": 6, "A1": 7}
    assert _weights_of_tokens(encoder)["word_weights"]["A1"] == 1.0


def test_a_damaged_pair_is_refused(pairs, tmp_path):
    with pytest.raises(XlingError, match="no aligned pair there"):
        xling.load_aligned(tmp_path)
    index = {"source": "../x", "target": "b", "map": "Ridge", "layers": [0, 0]}
    (tmp_path / "aligned.json").write_text(json.dumps(index))
    with pytest.raises(XlingError, match=r"aligned\.json: '\.\./x' is not a name of a language"):
        xling.load_aligned(tmp_path)
    (tmp_path / "aligned.json").write_text(json.dumps({**index, "source": "a", "map": "Bend"}))
    with pytest.raises(XlingError, match="not the index of an aligned pair"):
        xling.load_aligned(tmp_path)


def test_nothing_is_said_while_a_pair_is_written_and_opened(
    pairs, models_of, data, tmp_path, in_child
):
    """No bar of transformers, in a process that has not silenced them."""
    settings = {"languages": ("aa", "bb"), "train": "train", "layer": 1, "resamples": 0}

    def write_and_open() -> None:
        warnings.simplefilter("ignore")
        transformers_logging.enable_progress_bar()
        transformers_logging.set_verbosity_warning()
        out = tmp_path / "pair"
        export_pair(models_of["aa"], models_of["bb"], data, out, ExportSettings(**settings))
        xling.load_aligned(out)

    done = in_child(write_and_open)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
