"""Every kind of model: states and vectors are those of transformers, one line at a time."""

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5EncoderModel,
    WhisperConfig,
    WhisperModel,
)

from xling.encoders import representations
from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.kept_vectors import kept_sentence_vectors
from xling.encoders.random_encoder import untrained_twins
from xling.encoders.representations import forward, hidden_states, sentence_vectors
from xling.encoders.sentences import tokenise
from xling.errors import XlingError
from xling.model.folder import model_files
from xling.transfer.regimes import FullEncoder

ENCODERS = ["bert-mlm", "xlm-r", "modernbert", "distilbert"]
ENCODER_DECODERS = ["t5", "mt5", "bart", "mbart", "m2m_100"]
DECODERS = ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "bloom"]
KINDS = [*ENCODERS, *ENCODER_DECODERS, *DECODERS]
ALIKE = {
    *("distilbert", "mt5", "mbart", "m2m_100"),
    *("qwen2", "qwen3", "gemma2", "gpt_neox", "bloom"),
}
# What puts the last hidden state in place, where a model has it.
FINAL_NORMS = {
    **{"modernbert": "final_norm", "t5": "final_layer_norm", "gpt2": "ln_f", "bloom": "ln_f"},
    **{"llama": "norm", "qwen3": "norm", "gemma3_text": "norm", "gpt_neox": "final_layer_norm"},
    **{"m2m_100": "layer_norm", "mt5": "final_layer_norm"},
}
FRAMES = {"t5": "$A [SEP]", "mt5": "$A [SEP]", "llama": "[CLS] $A", "gemma2": "[CLS] $A"}


def tokenizer_of(kind, learn_tokenizer, lines):
    """As such models have it: T5 ends a text, Llama begins it, GPT-2 does neither; few can pad."""
    made = learn_tokenizer(lines, 300)
    if kind in ("bart", "mbart", "m2m_100", *ENCODERS):
        return made
    frame = FRAMES.get(kind, "$A")
    special = [("[CLS]", 2), ("[SEP]", 3)]
    made.backend_tokenizer.post_processor = TemplateProcessing(single=frame, special_tokens=special)
    names = {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]"}
    if kind in ("t5", "mt5"):
        names["pad_token"] = "[PAD]"
    return PreTrainedTokenizerFast(tokenizer_object=made.backend_tokenizer, **names)


def cases(kinds):
    """Kinds of models, those among the slow tests that differ little from another."""
    return [pytest.param(kind, marks=pytest.mark.slow if kind in ALIKE else []) for kind in kinds]


@pytest.fixture(params=cases(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def whole(kind, build, learn_tokenizer, parallel):
    """A model with all its parts, and its tokenizer."""
    tokenizer = tokenizer_of(kind, learn_tokenizer, parallel["aa"] + parallel["bb"])
    # Opened from a folder, a tokenizer of Qwen 2 has a token of its own for padding.
    return build(kind, len(tokenizer) + (kind == "qwen2")), tokenizer


@pytest.fixture
def encoder(whole):
    return Encoder.of_objects(*whole, "aa")


def plain_states(model, ids):
    """What transformers gives for one line, with nothing around it: [L + 1, T, d]."""
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    with torch.no_grad():
        found = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    return np.stack([layer[0].numpy() for layer in found])


def pooled_by_hand(states_LTD, ids, special, pooling):
    ordinary = [place for place, token in enumerate(ids) if token not in special]
    if not ordinary:
        return np.zeros(states_LTD[:, 0].shape)
    total, weights = 0.0, 0
    for place in range(len(ids)):
        weight = {
            "mean": place in ordinary,
            "first": place == 0,
            "last": place == len(ids) - 1,
            "weighted": place + 1,
        }[pooling]
        total, weights = total + weight * states_LTD[:, place].astype(np.float64), weights + weight
    return total / weights


@pytest.mark.parametrize("batch_tokens", [40, 4096])
def test_vectors_are_those_of_one_line_at_a_time(whole, encoder, parallel, batch_tokens):
    model, tokenizer = whole
    lines = [*parallel["aa"][:12], "", "1"]
    rows = [tokenizer(line)["input_ids"] for line in lines]
    states = [plain_states(model, ids) if ids else np.zeros((4, 1, 16)) for ids in rows]
    assert len({len(row) for row in rows}) > 5
    for pooling in ("mean", "first", "last", "weighted"):
        vectors = sentence_vectors(encoder, lines, None, batch_tokens, pooling)
        assert vectors.shape == (4, len(lines), 16)
        expected = [
            pooled_by_hand(each, ids, (0, 2, 3, 4), pooling)
            for each, ids in zip(states, rows, strict=True)
        ]
        np.testing.assert_allclose(vectors, np.stack(expected, axis=1), atol=1e-5, err_msg=pooling)
        assert np.abs(np.diff(vectors[:, :12], axis=0)).max(axis=(1, 2)).min() > 0.01


def test_a_short_line_beside_a_long_one_is_as_if_alone(whole, encoder, parallel):
    """Padding reaches beyond what a sliding window sees; nothing of it may leak."""
    model, tokenizer = whole
    lines = sorted(parallel["aa"], key=len)
    lines = [lines[0], lines[-1], lines[20]]
    sentences = tokenise(encoder, lines)
    assert sentences.lengths.max() > sentences.lengths.min() + 16
    ((_, batch, hidden),) = hidden_states(encoder, sentences, [np.arange(3)])
    for number, line in enumerate(lines):
        found = np.stack([layer[number].numpy()[batch.real_BL[number]] for layer in hidden])
        expected = plain_states(model, tokenizer(line)["input_ids"])
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", cases(FINAL_NORMS), indirect=True)
def test_the_last_layer_is_after_the_final_norm_and_the_others_before(kind, encoder, parallel):
    seen = {}
    norm = encoder.body.get_submodule(FINAL_NORMS[kind])
    norm.register_forward_hook(lambda _, given, out: seen.update(given=given[0], out=out))
    table = encoder.body.get_input_embeddings()
    table.register_forward_hook(lambda _, given, out: seen.update(embedded=out))
    sentences = tokenise(encoder, parallel["aa"][:1])
    (_, _, hidden), *_ = hidden_states(encoder, sentences, sentences.batches(100))
    assert torch.equal(hidden[-1], seen["out"])
    assert not torch.allclose(hidden[-1], seen["given"], atol=0.01)
    if kind in ("llama", "qwen3", "gpt_neox", "t5", "mt5"):
        assert torch.equal(hidden[0], seen["embedded"])


def test_a_saved_model_opens_without_head_and_decoder(whole, encoder, parallel, tmp_path):
    model, tokenizer = whole
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert "model.safetensors" in model_files(tmp_path)
    loaded = Encoder.load(tmp_path, "aa")
    assert loaded.body is loaded.model.base_model
    names = [name for name, _ in loaded.body.named_modules()]
    assert not any(name.startswith(("lm_head", "decoder")) for name in names)
    check_same(loaded, encoder, parallel["aa"])


def check_same(loaded, encoder, lines):
    """With one tokenizer: for Qwen 2 transformers opens another than was saved."""
    expected = sentence_vectors(Encoder("aa", encoder.model, loaded.tokenizer), lines)
    np.testing.assert_allclose(sentence_vectors(loaded, lines), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", cases([*ENCODERS, "t5", "mt5", *DECODERS]), indirect=True)
def test_what_is_saved_opens_again(encoder, parallel, tmp_path):
    encoder.save(tmp_path / "once")
    once = Encoder.load(tmp_path / "once", "aa")
    check_same(once, encoder, parallel["aa"])
    once.save(tmp_path / "twice")
    check_same(Encoder.load(tmp_path / "twice", "aa"), encoder, parallel["aa"])


@pytest.mark.parametrize("kind", cases(["t5", "mt5"]), indirect=True)
def test_half_an_encoder_decoder_opens(whole, encoder, parallel, tmp_path):
    """As T5EncoderModel, in which sentence encoders such as GTR and Sentence-T5 are saved."""
    model, tokenizer = whole
    half = T5EncoderModel(model.config)
    half.load_state_dict(model.state_dict(), strict=False)
    half.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = sentence_vectors(encoder, parallel["aa"])
    for found in (Encoder.load(tmp_path, "aa"), Encoder.of_objects(half, tokenizer, "aa")):
        np.testing.assert_allclose(
            sentence_vectors(found, parallel["aa"]), expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("kind", cases(["bart", "mbart", "m2m_100"]), indirect=True)
def test_an_encoder_without_a_class_of_its_own_is_not_saved(encoder, tmp_path):
    with pytest.raises(XlingError, match=r"Encoder: cannot be saved alone") as caught:
        encoder.save(tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_nothing_but_the_encoder_is_run_and_no_keys_are_kept(whole, encoder, parallel):
    model, _ = whole

    def fail(*_):
        raise AssertionError("was run")

    inner = {id(module) for module in encoder.body.modules()}
    for module in model.modules():
        if id(module) not in inner and module is not encoder.model:
            module.register_forward_pre_hook(fail)
    ids = torch.tensor([[5, 6, 7]])
    output = forward(encoder.body, ids, torch.ones_like(ids))
    assert getattr(output, "past_key_values", None) is None
    assert sentence_vectors(encoder, parallel["aa"][:3]).any()


def test_what_is_fine_tuned_is_the_last_layer(encoder, parallel):
    sentences = tokenise(encoder, parallel["aa"][:5])
    for _, batch, hidden in hidden_states(encoder, sentences, sentences.batches(100)):
        with torch.no_grad():
            torch.testing.assert_close(FullEncoder(encoder)(batch), hidden[-1])


def test_untrained_twins_have_the_shape_and_nothing_else(encoder, parallel):
    lines = parallel["aa"][:8]
    (one,), (other,) = untrained_twins([encoder], (1, 2))
    ((again,),) = untrained_twins([encoder], (1,))
    vectors = [sentence_vectors(each, lines) for each in (encoder, one, other, again)]
    assert len({array.shape for array in vectors}) == 1
    np.testing.assert_array_equal(vectors[1], vectors[3])
    for first, second in ((0, 1), (1, 2)):
        assert np.abs(vectors[first] - vectors[second]).max() > 1e-3
    shared = Encoders({"aa": encoder, "bb": Encoder("bb", encoder.model, encoder.tokenizer)})
    twins = shared.untrained(1).of
    assert twins["aa"].model is twins["bb"].model is not encoder.model


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[] if kind in ("bert-mlm", "t5", "gpt2") else pytest.mark.slow)
        for kind in KINDS
    ],
    indirect=True,
)
def test_kept_vectors_of_a_second_run_need_no_forward_pass(
    whole, encoder, parallel, tmp_path, monkeypatch
):
    model, tokenizer = whole
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    lines = parallel["aa"][:10]
    kept = tmp_path / "kept"
    first = kept_sentence_vectors(Encoder.load(tmp_path / "model", "aa"), lines, kept)
    passes = []
    run = representations.run_body
    monkeypatch.setattr(
        representations, "run_body", lambda *a, **k: passes.append(1) or run(*a, **k)
    )
    again = Encoder.load(tmp_path / "model", "aa")
    np.testing.assert_array_equal(kept_sentence_vectors(again, lines, kept), first)
    assert not passes
    for options in ({"pooling": "last"}, {"prefix": "1 "}, {"precision": "bf16"}):
        before = len(passes)
        other = kept_sentence_vectors(again, lines, kept, **options)
        assert len(passes) > before
        np.testing.assert_array_equal(other, sentence_vectors(again, lines, **options))
        assert np.abs(other - first).max() > 1e-4


def test_the_longest_line_runs(encoder):
    limit = 1 << 30 if encoder.model.config.model_type in ("t5", "mt5", "bloom") else 64
    limit -= encoder.model.config.model_type == "xlm-roberta"
    assert encoder.maximum_length == limit
    assert np.isfinite(sentence_vectors(encoder, [" ".join(["abc"] * 200)])).all()


def test_a_special_token_without_a_row_is_refused_only_where_it_is_spelled_out(
    build, learn_tokenizer, parallel
):
    tokenizer = learn_tokenizer(parallel["aa"], 300)
    model = build("gemma3_text", len(tokenizer))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    encoder = Encoder.of_objects(model, tokenizer, "aa")
    assert sentence_vectors(encoder, ["abc"]).any()
    with pytest.raises(XlingError, match="aa: the text spells out the special token <image>"):
        sentence_vectors(encoder, ["abc", "abc <image>"])
    tokenizer.add_tokens(["ordinary"])
    with pytest.raises(XlingError, match="entries but the embedding matrix"):
        Encoder.of_objects(model, tokenizer, "aa")


def test_of_a_model_that_sees_pictures_the_language_model_is_used(tokenizer, build, parallel):
    text = build("gemma3_text", len(tokenizer)).config
    sight = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sight |= {"intermediate_size": 16, "image_size": 16, "patch_size": 8}
    config = Gemma3Config(text_config=text.to_dict(), vision_config=sight, mm_tokens_per_image=4)
    model = Gemma3ForConditionalGeneration(config).eval()
    encoder = Encoder.of_objects(model, tokenizer, "aa")
    assert encoder.model is model.model.language_model
    lines = parallel["aa"][:5]
    expected = [
        pooled_by_hand(plain_states(model, ids), ids, (0, 2, 3, 4), "mean")
        for ids in tokenizer(lines)["input_ids"]
    ]
    found = sentence_vectors(encoder, lines)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)


def test_an_encoder_of_sound_is_refused(tokenizer):
    config = WhisperConfig(
        vocab_size=300,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        pad_token_id=0,
    )
    with pytest.raises(XlingError, match="WhisperEncoder has no table of token embeddings"):
        Encoder.of_objects(WhisperModel(config), tokenizer, "aa")
