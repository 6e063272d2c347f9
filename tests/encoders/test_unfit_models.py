"""What is no encoder, or half of one, is refused with its name: never opened with a default."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import (
    BertConfig,
    BertModel,
    FunnelConfig,
    FunnelModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5Model,
)
from typer.testing import CliRunner

from xling.cli import app
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.model.folder import model_files
from xling.transfer.regimes import FullEncoder

KINDS = ["bert", "bert-mlm", "xlm-r", "modernbert", "distilbert"]


@pytest.fixture
def save(tmp_path, build, tokenizer):
    """Save a tiny model of a kind with its tokenizer; returns the folder."""

    def saved(kind="bert", vocabulary=None):
        folder = tmp_path / kind
        build(kind, vocabulary or len(tokenizer)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return saved


def refused(folder, message):
    """Both ways in refuse the folder, in one line."""
    for open_ in (model_files, lambda place: Encoder.load(place, "aa")):
        with pytest.raises(XlingError, match=message) as caught:
            open_(folder)
        assert "\n" not in str(caught.value)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [[], ["tokenizer_config.json"]])
def test_a_model_without_its_tokenizer_is_refused(save, kind, left):
    folder = save(kind)
    for name in {"tokenizer.json", "tokenizer_config.json"} - set(left):
        (folder / name).unlink()
    refused(folder, "has no tokenizer")


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_without_its_configuration_is_not_read_as_another(save, kind):
    """transformers would make WordPiece of these merges, or not know [CLS] and [SEP]."""
    folder = save(kind)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(XlingError, match=r"tokenizer_config\.json|its tokenizer"):
        Encoder.load(folder, "aa")


def test_half_a_tokenizer_is_refused(save):
    folder = save()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text('{"a": 0}')
    refused(folder, "vocab.json without merges.txt")


def test_a_tokenizer_that_knows_only_its_special_tokens_is_refused(save):
    folder = save()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    bare = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    special = {f"{name[1:-1].lower()}_token": name for name in names}
    PreTrainedTokenizerFast(tokenizer_object=bare, **special).save_pretrained(folder)
    with pytest.raises(XlingError, match=r"no tokenizer but for 5 special tokens"):
        Encoder.load(folder, "aa")


def test_a_tokenizer_of_another_model_is_refused(save, tokenizer):
    folder = save("bert", len(tokenizer) - 1)
    message = rf"tokenizer has {len(tokenizer)} entries but .* {len(tokenizer) - 1} rows"
    with pytest.raises(XlingError, match=message):
        Encoder.load(folder, "aa")


def test_a_class_that_cuts_otherwise_than_the_file_is_said(save, caplog):
    folder = save()
    edit(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer")
    with caplog.at_level("WARNING", "xling"):
        Encoder.load(folder, "aa")
    assert "cuts text in another way" in caplog.text


def cut(path, size=50):
    path.write_bytes(path.read_bytes()[:-size])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"more")


def put_folder(path):
    path.unlink()
    path.mkdir()


def put(text):
    return lambda path: path.write_text(text)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
FAULTS = [
    ("model.safetensors", cut, "cut short"),
    ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:40]), "header is cut"),
    ("model.safetensors", put(""), "cut short"),
    ("model.safetensors", lengthen, "too long"),
    ("model.safetensors", put(POINTER), "Git LFS pointer"),
    ("model.safetensors", put("<html>404</html>" * 9), "not a safetensors file"),
    ("model.safetensors", put_folder, "is not a file"),
    ("model.safetensors", lambda path: path.unlink(), "no model.safetensors"),
    ("config.json", cut, "config.json: not valid JSON"),
    ("config.json", put("[1, 2]"), "config.json: expected a JSON object, found list"),
    ("config.json", put(POINTER), "Git LFS pointer"),
    ("config.json", put_folder, "is not a file"),
    ("config.json", lambda path: path.unlink(), "no config.json"),
    ("tokenizer.json", cut, "tokenizer.json: not valid JSON"),
    ("tokenizer.json", put(POINTER), "Git LFS pointer"),
    ("tokenizer.json", put_folder, "tokenizer.json: is not a file"),
    ("tokenizer_config.json", put("no"), "tokenizer_config.json: not valid JSON"),
    ("adapter_config.json", put("{}"), "holds an adapter"),
]


@pytest.mark.parametrize(("name", "harm", "message"), FAULTS)
def test_a_damaged_part_is_named(save, name, harm, message):
    folder = save()
    harm(folder / name)
    refused(folder, message)


def test_a_large_tokenizer_cut_short_is_named(save):
    folder = save()
    path = folder / "tokenizer.json"
    path.write_bytes(b" " * (2 << 20) + path.read_bytes())
    model_files(folder)
    cut(path)
    refused(folder, "tokenizer.json: not valid JSON")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "unheard-of"},
        {"model_type": None},
        {"hidden_size": 17},
        {"hidden_size": "wide"},
        {"num_hidden_layers": 9},
        {"hidden_act": "unheard-of"},
    ],
)
def test_a_configuration_of_something_else_is_one_line(save, changes):
    folder = save()
    edit(folder / "config.json", **changes)
    with pytest.raises(XlingError, match=str(folder)) as caught:
        Encoder.load(folder, "aa")
    assert "\n" not in str(caught.value)


def split(folder):
    """Split the weights into two files and an index; returns the index's path."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(sorted(weights))}
    for part in set(where.values()):
        save_file(
            {name: weights[name] for name in where if where[name] == part},
            folder / part,
            metadata={"format": "pt"},
        )
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": where}))
    return index


def test_weights_in_several_files_are_opened(save, parallel):
    folder = save()
    whole = sentence_vectors(Encoder.load(folder, "aa"), parallel["aa"][:5])
    split(folder)
    assert {"part-0.safetensors", "part-1.safetensors"} <= set(model_files(folder))
    assert (sentence_vectors(Encoder.load(folder, "aa"), parallel["aa"][:5]) == whole).all()


@pytest.mark.parametrize("name", ["../part-0.safetensors", "/tmp/part-0.safetensors", ".hidden"])
def test_weights_outside_the_folder_are_not_read(save, name):
    folder = save()
    index = split(folder)
    if name.startswith(".."):
        shutil.copy(folder / "part-0.safetensors", folder.parent)
    index.write_text(index.read_text().replace("part-0.safetensors", name))
    refused(folder, "expected the name of a file beside it")


def test_an_index_that_names_a_pickle_does_not_open_it(save):
    folder = save()
    index = split(folder)
    torch.save(load_file(folder / "part-1.safetensors"), folder / "part-1.bin")
    index.write_text(index.read_text().replace("part-1.safetensors", "part-1.bin"))
    refused(folder, "lists weights in part-1.bin; only safetensors is read")


def test_missing_and_damaged_files_of_an_index_are_named(save):
    folder = save()
    index = split(folder)
    cut(folder / "part-1.safetensors")
    refused(folder, r"part-1.safetensors: is cut short")
    (folder / "part-1.safetensors").unlink()
    refused(folder, r"1 of the 2 files of .* are missing: part-1.safetensors")
    index.write_text('{"metadata": {}}')
    refused(folder, "no weight_map")


def test_a_configuration_cannot_name_other_weights(save):
    folder = save()
    edit(folder / "config.json", transformers_weights="../other.safetensors")
    refused(folder, "transformers_weights")


def test_weights_that_lack_a_part_are_refused_but_for_the_pooler(save):
    folder = save()
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}
    save_file(kept, path, metadata={"format": "pt"})
    assert Encoder.load(folder, "aa").body.pooler is None
    name = "encoder.layer.1.output.dense.weight"
    del kept[name]
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(XlingError, match=f"its weights lack {name}"):
        Encoder.load(folder, "aa")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_diverged_weights_are_found(save, value):
    folder = save()
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["encoder.layer.1.output.dense.weight"][0, 0] = value
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(XlingError, match=r"aa: the model's .*layer\.1.* holds NaN or infinity"):
        Encoder.load(folder, "aa").check_weights()
    with pytest.raises(XlingError, match="it has diverged"):
        Encoders.load(folder, ("aa", "bb"))


def test_a_model_without_an_encoder_inside_is_refused(tmp_path, tokenizer):
    """A decoder alone would be read as an encoder whose weights are random."""
    config = T5Config(vocab_size=300, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5Model(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = {name: t for name, t in load_file(path).items() if not name.startswith("encoder.b")}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(XlingError, match=r"its weights lack encoder\.block\.0") as caught:
        Encoder.load(tmp_path, "aa")
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_than_the_configuration_are_named(save):
    folder = save()
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    edit(folder / "config.json", hidden_size=2 * width)
    message = rf"has the shape \[{width}\] in its weights, but \[{2 * width}\] by config.json"
    with pytest.raises(XlingError, match=message):
        Encoder.load(folder, "aa")


def test_a_fault_of_the_configuration_is_not_blamed_on_the_tokenizer(save):
    folder = save()
    edit(folder / "config.json", hidden_size="many")
    with pytest.raises(XlingError, match=r"cannot be opened as an encoder .*hidden_size"):
        Encoder.load(folder, "aa")


def test_layers_that_the_configuration_leaves_out_are_said(save, caplog):
    folder = save("bert-mlm")  # whose head is left out without a word
    with caplog.at_level("WARNING", "xling"):
        Encoder.load(folder, "aa")
        assert not caplog.records
        edit(folder / "config.json", num_hidden_layers=1)
        Encoder.load(folder, "aa")
    assert "more layers than config.json says" in caplog.text


def test_code_shipped_with_a_model_is_not_asked_for(save):
    folder = save()
    edit(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"})
    with pytest.raises(XlingError, match="needs code that is shipped with it") as caught:
        Encoder.load(folder, "aa")
    assert "xling audit --trust-remote-code" in str(caught.value)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(save, kind):
    folder = save()
    path = folder / "model.safetensors"
    weights = load_file(path)
    name = "encoder.layer.1.output.dense.weight"
    save_file({**weights, name: weights[name].to(kind)}, path, metadata={"format": "pt"})
    refused(folder, f"its weights are quantised \\({name}")


def test_training_a_model_that_cannot_run_on_tokens_is_one_line(build, tokenizer, monkeypatch):
    model = build("bert", len(tokenizer))
    monkeypatch.setattr(model, "forward", lambda **inputs: {}["language"])
    ids = torch.ones((1, 3), dtype=torch.long)
    batch = SimpleNamespace(ids_BL=ids, mask_BL=ids, inputs={})
    with pytest.raises(XlingError, match="BertModel cannot be run on tokens"):
        FullEncoder(Encoder("aa", model, tokenizer))(batch)


def test_layers_of_unlike_lengths_are_refused(tmp_path, tokenizer, parallel):
    sizes = {"d_model": 8, "n_head": 2, "d_head": 4, "d_inner": 8, "num_decoder_layers": 1}
    model = FunnelModel(FunnelConfig(vocab_size=len(tokenizer), block_sizes=[1, 1], **sizes))
    encoder = Encoder("aa", model.eval(), tokenizer)
    with pytest.raises(XlingError, match="FunnelModel gives layers of the shapes"):
        sentence_vectors(encoder, parallel["aa"][:3])


def test_a_model_that_cannot_run_on_tokens_is_one_line(build, tokenizer, parallel, monkeypatch):
    model = build("bert", len(tokenizer))
    monkeypatch.setattr(model, "forward", lambda **inputs: {}["pixels"])
    with pytest.raises(XlingError, match="BertModel cannot be run on tokens"):
        sentence_vectors(Encoder("aa", model, tokenizer), parallel["aa"][:3])


def test_what_is_no_folder_is_said(tmp_path, save):
    refused(tmp_path / "nowhere", "nowhere: not found; expected a folder with config.json")
    (tmp_path / "file").write_text("weights")
    refused(tmp_path / "file", "file: is a file; expected a folder")
    family = tmp_path / "family"
    shutil.copytree(save(), family / "en")
    (family / "family.json").write_text("{}")
    refused(family, "a family of encoders; expected the folder of one language's encoder: .*/en")


@pytest.mark.parametrize("name", ["./nowhere", "a/b/c", "/nowhere", "../up"])
def test_a_path_is_not_looked_up_on_the_hub(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", None)
    with pytest.raises(XlingError, match="not found; expected a Hugging"):
        Encoder.load(name, "aa")


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the hub: a folder of the files it lists."""

    def stand_in(files):
        def cached_file(name, file, **options):
            return str(files[file]) if file in files else None

        monkeypatch.setattr("transformers.utils.cached_file", cached_file)
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *a, **k: None)

    return stand_in


def test_an_index_on_the_hub_is_checked_too(save, hub):
    index = split(save())
    index.write_text(index.read_text().replace("part-1.safetensors", "part-1.bin"))
    hub({index.name: index})
    with pytest.raises(XlingError, match="only safetensors is read"):
        Encoder.load("somebody/model", "aa")


def test_the_hub_is_asked_once(monkeypatch):
    asked = []

    def unreachable(self, name, timeout):
        asked.append(name)
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    with pytest.raises(XlingError, match=r"nowhere: .* not found; .* hub cannot be reached"):
        Encoder.load("nowhere", "aa")
    assert asked == ["nowhere"]


def test_a_model_fetched_before_is_opened_without_the_hub(save, tmp_path, monkeypatch):
    """The layout of the hub's cache: snapshots of a model under its name."""
    cache = tmp_path / "cache"
    place = cache / "models--owner--name"
    shutil.copytree(save(), place / "snapshots" / "0123456789abcdef0123456789abcdef01234567")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(cache), raising=False)

    def unreachable(*given, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    assert Encoder.load("owner/name", "aa").rows > 100


def test_the_command_line_ends_with_one_line(save, tmp_path, monkeypatch):
    """No verb that takes a model gives a traceback, and none leaves an output."""
    bare = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1))
    bare.save_pretrained(tmp_path / "bare")
    config = tmp_path / "settings.yaml"
    data = tmp_path / "data"
    for language in ("aa", "bb"):
        for name in ("train", "test"):
            path = data / "parallel" / name / f"{language}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a b\n" * 5)
            task = data / "topics" / language / f"{name}.tsv"
            task.parent.mkdir(parents=True, exist_ok=True)
            task.write_text("1\tx\ta b\n2\ty\tb c\n")
        (data / "topics" / language / "dev.tsv").write_text("1\tx\ta b\n2\ty\tb c\n")
        path = data / "text" / "wiki" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a b\n" * 5)
    (data / "dictionaries").mkdir()
    for name in ("train", "test"):
        (data / "dictionaries" / f"aa-bb.{name}.tsv").write_text("a\tb\n")
    pair = "languages: [aa, bb]\n"
    both = "text: {aa: [wiki], bb: [wiki]}\n"
    verbs = {
        ("probe",): pair,
        ("similarity",): pair,
        ("align", "sentences"): f"{pair}train: train\n",
        ("align", "words"): pair + both,
        ("align", "export"): f"{pair}train: train\n",
        ("align", "context"): f"{pair}train: train\ntransfer: {{task: topics}}\n",
    }
    out = tmp_path / "out"
    for model in (tmp_path / "nowhere", tmp_path / "bare", config):
        for verb, text in verbs.items():
            config.write_text(text)
            models = [str(model)] * (1 if verb == ("probe",) else 2)
            arguments = [*verb, *models, "--data", str(data), "--out", str(out)]
            result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
            assert isinstance(result.exception, XlingError), (verb, model, result.output)
            assert str(result.exception).startswith(str(model)), (verb, result.exception)
    arguments = ["transfer", str(tmp_path / "bare"), "--data", str(data), "--out", str(out)]
    arguments += ["--task", "topics", "--source", "aa", "--targets", "bb"]
    assert isinstance(CliRunner().invoke(app, arguments).exception, XlingError)
    assert not out.exists()
