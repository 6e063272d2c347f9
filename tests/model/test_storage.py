"""Folders that transformers opens, and families that come back as they were."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from xling.encoders.encoder import Encoder
from xling.errors import XlingError
from xling.files import content_hash
from xling.model.storage import family_files, load_family, save_family

PLANS = [(), ("embeddings", "layers 1-2"), ("layers 3.attention", "head")]


@pytest.mark.parametrize("separate", PLANS)
def test_each_language_is_a_hugging_face_model_with_equal_logits(
    make_family, vocabulary, folder, separate, shape
):
    family = make_family(*separate)
    save_family(family, vocabulary, folder)
    opens = AutoModelForMaskedLM if shape.objective == "mlm" else AutoModelForCausalLM
    for language in family.languages:
        model = opens.from_pretrained(folder / language).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder / language)
        encoded = tokenizer("abcd xyab", return_tensors="pt")
        assert encoded["input_ids"][0, 0] == vocabulary.special_ids.cls
        expected = vocabulary.tokenizer(language).encode("abcd xyab").ids
        assert encoded["input_ids"][0].tolist() == expected
        logits = model(**encoded).logits
        ours = family.member(language)(encoded["input_ids"]).logits
        assert torch.equal(logits, ours)
        assert tokenizer.model_max_length == shape.max_length
        assert Encoder.load(folder / language, language).maximum_length == shape.max_length
        assert (folder / language / "model.safetensors").is_file()


@pytest.mark.parametrize("separate", PLANS)
def test_what_was_shared_is_shared_again(make_family, vocabulary, folder, separate):
    family = make_family(*separate)
    save_family(family, vocabulary, folder)
    loaded = load_family(folder)
    assert loaded.plan == family.plan
    assert loaded.languages == family.languages
    names = [name for name, _ in family.named_parameters()]
    assert [name for name, _ in loaded.named_parameters()] == names
    assert loaded.shared_parameters().keys() == family.shared_parameters().keys()
    for (_, one), (_, other) in zip(
        family.named_parameters(), loaded.named_parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_saving_twice_gives_the_same_bytes(make_family, vocabulary, folder):
    family = make_family("embeddings")
    save_family(family, vocabulary, folder)
    first = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    save_family(load_family(folder), vocabulary, folder)
    second = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert first == second


def change(folder, name, value):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[name] = value(weights[name])
    if weights[name] is None:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


def query_name(shape):
    """The name of the first matrix of layer {}, in files."""
    names = {
        "bert": "bert.encoder.layer.{}.attention.self.query.weight",
        "xlm-roberta": "roberta.encoder.layer.{}.attention.self.query.weight",
        "modernbert": "model.layers.{}.attn.Wqkv.weight",
        "llama": "model.layers.{}.self_attn.q_proj.weight",
    }
    name = names[shape.architecture]
    return name if shape.positions != "rotary" else name.replace("bert.", "roformer.", 1)


def test_a_shared_weight_changed_by_hand_is_found(make_family, vocabulary, folder, shape):
    save_family(make_family("layers 1"), vocabulary, folder)
    name = query_name(shape)
    change(folder / "fr", name.format(0), lambda weight: weight + 1)
    load_family(folder)  # layer 1 is French alone
    change(folder / "fr", name.format(1), lambda weight: weight + 1)
    with pytest.raises(XlingError, match=r"fr: .*\.1\..*differs from that of en"):
        load_family(folder)


def test_a_missing_weight_is_not_drawn_at_random(make_family, vocabulary, folder, shape):
    save_family(make_family("layers 1"), vocabulary, folder)
    name = query_name(shape).format(0)
    change(folder / "fr", name, lambda _: None)
    with pytest.raises(XlingError, match=f"lack {name}"):
        load_family(folder)


@pytest.mark.parametrize("size", [0, 5, 1000])
def test_truncated_weights_are_said(make_family, vocabulary, folder, size):
    save_family(make_family(), vocabulary, folder)
    path = folder / "fr" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(XlingError, match=r"model/fr: not a readable model .* copy it again"):
        load_family(folder)


def test_a_missing_member_or_index_is_said(make_family, vocabulary, folder):
    save_family(make_family(), vocabulary, folder)
    shutil.rmtree(folder / "fr")
    with pytest.raises(XlingError, match="model/fr: not a readable model"):
        load_family(folder)
    (folder / "family.json").unlink()
    with pytest.raises(XlingError, match=r"family.json: not found"):
        load_family(folder)


def test_an_index_of_something_else_is_said(make_family, vocabulary, folder):
    save_family(make_family(), vocabulary, folder)
    (folder / "family.json").write_text(json.dumps({"languages": ["en", "fr"]}), encoding="utf-8")
    with pytest.raises(XlingError, match=r"family.json: not the index of a family"):
        load_family(folder)


def test_nothing_is_said_while_a_family_is_saved_and_opened(make_family, vocabulary, folder, capfd):
    save_family(make_family(), vocabulary, folder)
    load_family(folder)
    assert capfd.readouterr() == ("", "")


def test_files_that_decide_what_a_family_gives(make_family, vocabulary, folder):
    save_family(make_family(), vocabulary, folder)
    found = family_files(folder, ["fr"])
    assert list(found) == ["fr"]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found["fr"])
    with pytest.raises(XlingError, match="has no language 'de'; it has en, fr"):
        family_files(folder, ["de"])
    (folder / "fr" / "tokenizer.json").unlink()
    with pytest.raises(XlingError, match=r"model/fr: not a readable model .* has no tokenizer"):
        family_files(folder, ["fr"])


@pytest.mark.parametrize("language", ["../en", "/en", "..", 7, ""])
def test_an_index_names_no_folder_elsewhere(make_family, vocabulary, folder, language):
    save_family(make_family(), vocabulary, folder)
    path = folder / "family.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**index, "languages": ["en", language]}), encoding="utf-8")
    with pytest.raises(
        XlingError, match=r"family\.json: (not the index of a family|'.*' is not a name)"
    ):
        load_family(folder)


def test_what_is_no_family_says_what_to_use(make_family, vocabulary, folder):
    save_family(make_family(), vocabulary, folder)
    for place in (folder / "en", folder.parent / "nowhere", folder / "family.json"):
        with pytest.raises(XlingError, match=r"For an ordinary encoder use xling similarity"):
            load_family(place)


def test_a_member_altered_since_it_was_recorded_is_refused(make_family, vocabulary, folder):
    save_family(make_family("layers 1"), vocabulary, folder)
    names = ["family.json", *(f"fr/{name}" for name in ("config.json", "tokenizer.json"))]
    for name in names:
        path = folder / name
        record = {name: {"bytes": path.stat().st_size, "blake2b": content_hash(path)}}
        (folder / "artefact.json").write_text(json.dumps({"stage": "pretrain", "files": record}))
        load_family(folder)
        text = path.read_text(encoding="utf-8")
        path.write_text(text + " ", encoding="utf-8")
        with pytest.raises(XlingError, match=rf"{name}: was altered"):
            load_family(folder)
        path.write_text(text, encoding="utf-8")
