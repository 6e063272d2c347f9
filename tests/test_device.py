"""Where models compute: one rule says what a name stands for, and what is not there is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from xling.cli import app
from xling.device import (
    bf16_features,
    can_train_in_bf16,
    check_device,
    choose_device,
    enough_memory,
    limit_threads,
    measuring_device,
    resolve_precision,
    seed_draws,
    training_precision,
)
from xling.encoders.encoder import Encoder
from xling.encoders.representations import hidden_states, running, sentence_vectors
from xling.encoders.sentences import tokenise
from xling.encoders.word_vectors import word_vectors
from xling.errors import XlingError
from xling.pretraining.distributed import world

CPU = torch.device("cpu")


@pytest.fixture
def gpus(monkeypatch):
    """Make torch say that there are so many CUDA GPUs."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("name", "count", "rank", "expected"),
    [
        ("auto", 0, 0, "cpu"),
        ("auto", 0, 3, "cpu"),
        ("auto", 1, 0, "cuda:0"),
        ("auto", 4, 3, "cuda:3"),
        ("cpu", 4, 2, "cpu"),
        ("cuda", 4, 0, "cuda:0"),
        ("cuda", 4, 2, "cuda:2"),
        ("cuda:1", 2, 0, "cuda:1"),
    ],
)
def test_a_name_stands_for_a_device(gpus, name, count, rank, expected):
    gpus(count)
    assert choose_device(name, rank) == torch.device(expected)


@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", None), ("mps", None), ("cuda:1", torch.device("cuda:1"))]
)
def test_measures_are_taken_on_the_models_gpu_and_else_by_numpy(device, expected):
    assert measuring_device(torch.device(device)) == expected


def test_a_device_of_torchs_is_taken_as_it_is():
    assert choose_device(torch.device("meta")) == torch.device("meta")


@pytest.mark.parametrize(
    ("name", "count", "found"),
    [
        ("cuda", 0, "this machine has none that torch"),
        ("cuda:0", 0, "this machine has none that torch"),
        ("cuda:2", 2, r"this machine has 2 \(cuda:0 to cuda:1\)"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused(gpus, name, count, found):
    gpus(count)
    with pytest.raises(XlingError, match=rf"device '{name}': .*{found}.*or auto") as refused:
        choose_device(name)
    assert "\n" not in str(refused.value)


def test_apples_gpu_is_taken_only_where_it_is_and_if_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(XlingError, match=r"device 'mps': .*no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto").type != "mps"


@pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu:0", "meta"])
def test_what_names_no_device_is_refused(name):
    for refuse in (check_device, choose_device):
        with pytest.raises(XlingError, match="expected auto, cpu, cuda, cuda:N"):
            refuse(name)


def test_processes_of_one_run_do_not_share_a_device(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("cuda:1", "mps"):
        with pytest.raises(XlingError, match="one device for 2 processes"):
            choose_device(name, 0, 2)
    assert choose_device("cuda", 1, 2) == torch.device("cuda:1")
    with pytest.raises(XlingError, match=r"GPU number 2 for this process.*has 2"):
        choose_device("auto", 2, 3)


def test_a_run_computes_where_it_is_told_to(gpus):
    gpus(1)
    with world() as process:
        assert process.device == torch.device("cuda:0")
    with world("cpu") as process:
        assert process.device == CPU
    gpus(0)
    with pytest.raises(XlingError, match="device 'cuda'"), world("cuda"):
        pass


def test_half_precision_is_for_gpus_that_have_it(monkeypatch):
    for has_it, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda emulated, has_it=has_it: has_it and not emulated
        )
        assert resolve_precision("auto", torch.device("cuda", 0)) == expected
        gpu = training_precision("auto", torch.device("cuda", 0))
        assert gpu.name == expected
        assert gpu.why == ("faster here: this cuda has bf16" if has_it else "this cuda has no bf16")
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
    assert training_precision("auto", torch.device("mps")) == ("fp32", "this mps has no fast bf16")


@pytest.mark.parametrize("amx", [True, False])
@pytest.mark.parametrize("avx512", [True, False])
@pytest.mark.parametrize("library", [True, False])
def test_a_cpu_trains_in_bf16_where_that_is_faster_and_measures_in_fp32(
    monkeypatch, amx, avx512, library
):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: library)
    faster = library and (amx or avx512)
    assert training_precision("auto", CPU).name == ("bf16" if faster else "fp32")
    assert [training_precision(name, CPU).name for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert resolve_precision("auto", CPU) == "fp32"
    assert can_train_in_bf16(CPU)


def test_a_torch_that_cannot_tell_trains_in_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert training_precision("auto", CPU).name == "fp32"


def test_the_features_are_those_the_kernel_names():
    """An AMX that the kernel does not name may not be used, so only what it names is compared."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        pytest.skip("no Linux")
    assert ("AVX512-BF16" in bf16_features(CPU)) == ("avx512_bf16" in flags)
    assert "AMX" in bf16_features(CPU) or "amx_tile" not in flags


def test_a_device_that_is_too_small_is_a_fault_to_mend():
    with (
        pytest.raises(XlingError, match=r"a batch: .*memory is too small.*batch_tokens lower"),
        enough_memory("a batch"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. More of it.")
    with (
        pytest.raises(XlingError, match="a batch of Linear: the device's memory"),
        running(torch.nn.Linear(1, 1)),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def with_device():
    group = typer.main.get_command(app)

    def below(command, above=()):
        for name, found in getattr(command, "commands", {}).items():
            yield from below(found, (*above, name))
        if any(parameter.name == "device" for parameter in command.params):
            yield above

    return set(below(group))


def test_every_verb_that_runs_a_model_says_where():
    assert with_device() == {
        ("pretrain",),
        ("probe",),
        ("audit",),
        ("transfer",),
        ("similarity",),
        *(("align", name) for name in ("words", "sentences", "context", "export")),
    }


@pytest.mark.parametrize("verb", sorted(with_device()), ids=" ".join)
def test_a_misspelt_device_is_refused_before_anything_is_read(verb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = ["a"] if verb[0] in ("pretrain", "probe", "audit", "transfer") else ["a", "b"]
    more = ["--vocabulary", "v"] if verb[0] == "pretrain" else []
    words = [*verb, *models, "--data", "d", *more, "--device", "gpu"]
    found = CliRunner().invoke(app, words).exception
    assert isinstance(found, XlingError)
    assert str(found).startswith("device 'gpu': ")
    assert list(tmp_path.iterdir()) == []


def test_reading_a_name_needs_no_torch():
    code = "import sys, xling.device as d; d.check_device('cuda:1'); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


WORDS = ["[PAD]", "[UNK]", *(f"w{number}" for number in range(20))]
LINES = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9", "w1 w1"]


def save_encoder(folder: Path) -> Path:
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]"
    )
    tokenizer.save_pretrained(folder)
    return folder


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does but ``meta`` not always."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        given = tree_leaves((arguments, options))
        devices = {value.device for value in given if isinstance(value, torch.Tensor)}
        name = function.overloadpacket.__name__
        assert len(devices) < 2 or name in ("_to_copy", "copy_", "to"), (function, devices)
        if name in ("is_nonzero", "item", "_local_scalar_dense") and arguments[0].is_meta:
            return True
        return function(*arguments, **(options or {}))


def test_models_batches_and_sums_are_where_they_should_be(tmp_path, monkeypatch):
    """The device ``meta``, whose tensors have no content, stands for a GPU."""
    meta = torch.device("meta")
    encoder = Encoder.load(save_encoder(tmp_path), "aa", meta)
    assert {parameter.device for parameter in encoder.model.parameters()} == {meta}
    assert encoder.device == meta
    with OneDevice():
        sentences = tokenise(encoder, LINES)
        for *_, hidden in hidden_states(encoder, sentences, sentences.batches(8)):
            assert {layer.device for layer in hidden} == {meta}
    brought_back = []

    def cpu(tensor):
        brought_back.append(tensor.device)
        return torch.ones(tensor.shape, dtype=tensor.dtype)

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    with OneDevice():
        vectors = sentence_vectors(encoder, LINES)
        words, _ = word_vectors(encoder, [line.split() for line in LINES])
    assert set(brought_back) == {meta}
    assert (vectors.shape, vectors.dtype) == ((3, 4, 8), "float32")
    assert (words.shape, words.dtype) == ((3, 11, 8), "float32")


def test_the_cpu_by_name_is_the_default(tmp_path):
    folder = save_encoder(tmp_path)
    named, default = Encoder.load(folder, "aa", "cpu"), Encoder.load(folder, "aa")
    assert named.device == default.device == CPU
    expected = sentence_vectors(default, LINES)
    assert (sentence_vectors(named, LINES) == expected).all()


def test_outputs_record_the_device_and_are_current_on_another(tmp_path, gpus, monkeypatch):
    model = save_encoder(tmp_path / "model")
    for language in ("aa", "bb"):
        path = tmp_path / "data" / "parallel" / "talks" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(LINES) + "\n")
    out = tmp_path / "out"
    words = ["probe", str(model), "--data", str(tmp_path / "data"), "--out", str(out)]
    words += ["--languages", "aa,bb"]
    gpus(0)
    assert CliRunner().invoke(app, [*words, "--device", "cpu"]).exit_code == 0
    record = json.loads((out / "artefact.json").read_text())
    assert record["device"] == "cpu"
    assert "cpu" not in json.dumps([record["config"], record["inputs"]])
    default = [str(tmp_path / "default") if word == str(out) else word for word in words]
    assert CliRunner().invoke(app, default).exit_code == 0
    tables = [(folder / "scores.csv").read_bytes() for folder in (out, tmp_path / "default")]
    assert tables[0] == tables[1]

    def never(*_, **__):
        raise AssertionError("a finished output is not made again")

    monkeypatch.setattr("xling.similarity.stage.probe_pair", never)
    gpus(1)
    result = CliRunner().invoke(app, [*words, "--device", "cuda"])
    assert result.exit_code == 0, result.exception


def test_threads_of_a_torch_that_is_loaded(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    before = torch.get_num_threads()
    try:
        assert limit_threads(None) is None
        assert os.environ["OMP_NUM_THREADS"] == "7"
        for count in (1, 2):
            limit_threads(count)
            assert torch.get_num_threads() == count
            assert os.environ["OPENBLAS_NUM_THREADS"] == str(count)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("seed", [0, 7, 2**70 + 3])
def test_draws_on_a_processor_are_those_of_torch_s_own_seed(seed):
    def draws():
        return torch.rand(4), torch.empty(4, dtype=torch.int64).random_()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        expected = draws()
        seed_draws(torch.device("cpu"), seed)
        found = draws()
    assert all(map(torch.equal, found, expected))
