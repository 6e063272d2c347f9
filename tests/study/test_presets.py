"""Each preset's meaning directly: which tensors and rows are shared, what a step changes, and more.

What is expected stands here by hand, for eight layers as in the paper.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from xling.data.derive import DeriveSettings, derive
from xling.data.layout import DataFolder
from xling.data.selection import MatchedText, TextPart
from xling.errors import XlingError
from xling.model.family import Family
from xling.model.storage import save_family
from xling.pretraining import run
from xling.pretraining.batches import BatchMaker, load_parallel_text
from xling.pretraining.config import RunConfig
from xling.pretraining.distributed import world
from xling.pretraining.loop import forward_backward
from xling.pretraining.optimizer import FamilyOptimizer
from xling.pretraining.run import language_texts
from xling.study.config import StudyConfig, Variant
from xling.study.plan import Planner
from xling.study.presets import presets
from xling.tokens.build import TokensConfig, build_tokens
from xling.vocabulary.build import build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

EMBEDDINGS = ("bert.embeddings.", "cls.predictions.bias", "cls.predictions.decoder.")
TOKENS = ("bert.embeddings.word_embeddings.", *EMBEDDINGS[1:])
LAYER = tuple(f"bert.encoder.layer.{number}." for number in range(8))
ATTENTION = tuple(f"{layer}attention." for layer in LAYER)
FEED_FORWARD = tuple(f"{layer}{rest}." for layer in LAYER for rest in ("intermediate", "output"))
HEAD = ("cls.predictions.transform.",)


class Row(NamedTuple):
    """What a preset means: rows of the table of Conneau et al. 2020, section 4, read by hand.

    Attributes:
        anchors: ``all`` identical strings and how they are cut, identical ``tokens``, or ``none``.
        separate: Beginnings of the names of what each language has for itself.
        other: The second language where the pair is en-fr.
        own: What each language has for itself though the embeddings are one table.
    """

    anchors: str
    separate: tuple[str, ...] = ()
    other: str = "fr"
    own: tuple[str, ...] = ()

    def separates(self, name: str) -> bool:
        """Tell whether each language has its own parameter of that name."""
        return name.startswith(self.separate) if self.separate else False

    @property
    def own_tokens(self) -> bool:
        return self.separates("bert.embeddings.word_embeddings.weight")


EXPECTED = {
    "default": Row("all"),
    "wiki-cc": Row("all"),
    "no-anchors": Row("none"),
    "default-anchors": Row("tokens"),
    "extra-anchors": Row("all"),
    "sep-emb": Row("none", EMBEDDINGS),
    "sep-L1-3": Row("tokens", LAYER[:3]),
    "sep-L1-6": Row("tokens", LAYER[:6]),
    "sep-emb-L1-3": Row("none", EMBEDDINGS + LAYER[:3]),
    "sep-emb-L1-6": Row("none", EMBEDDINGS + LAYER[:6]),
    "monolingual": Row("none", ("",)),
    "bilingual-same-language": Row("none", EMBEDDINGS, "en_same"),
    "random": Row("all"),
    "sep-top": Row("tokens", LAYER[5:]),
    "sep-attention": Row("tokens", ATTENTION),
    "sep-feed-forward": Row("tokens", FEED_FORWARD),
    "sep-positions": Row("all", ("bert.embeddings.position_embeddings.",)),
    "sep-norm": Row("tokens", ("bert.embeddings.LayerNorm.",)),
    "sep-tokens": Row("none", TOKENS),
    "sep-tokens-L1-3": Row("none", TOKENS + LAYER[:3]),
    "sep-tokens-L1-6": Row("none", TOKENS + LAYER[:6]),
    "sep-specials": Row("none", own=("specials",)),
    "sep-softmax": Row("none", own=("softmax",)),
    "sep-replacements": Row("none", own=("replacements",)),
    "sep-specials-softmax": Row("none", own=("specials", "softmax")),
    "frozen-body": Row("none", TOKENS),
    "active-forgetting": Row("none", TOKENS),
    "imbalance": Row("none"),
    "mixed": Row("none"),
    "sep-emb-sinusoidal": Row("none", EMBEDDINGS),
    "no-anchors-sep-positions": Row("none", ("bert.embeddings.position_embeddings.",)),
    "sep-emb-same-positions": Row("none", EMBEDDINGS),
    "language-embedding": Row("all", ("bert.embeddings.token_type_embeddings.",)),
    "inverted": Row("none", (), "en_inverted"),
    "tlm": Row("all"),
}
DERIVED = DeriveSettings.model_validate(
    {"languages": {f"en_{how}": {"of": "en", "how": how} for how in ("same", "inverted")}}
)
SETTINGS = {
    "model": {"layers": 8},
    "vocabulary": {"size": 150},
    "other_domain": ["web"],
    "pretraining": {"steps": 3},
    "probe": {"datasets": ["held-out"]},
}


def test_every_preset_is_tested():
    assert set(presets()) == set(EXPECTED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data, make_lines) -> DataFolder:
    """The data of two languages, with another domain and the languages made from English."""
    root = tmp_path_factory.mktemp("both")
    for language, draw in (("en", 3), ("fr", 4)):
        make_lines(root / "web" / "text" / "web" / f"{language}.txt", language, 500, draw)
        make_lines(root / "web" / "parallel" / "train" / f"{language}.txt", language, 90, 5)
        for part in ("text/wiki", "parallel/held-out"):
            path = root / "web" / part / f"{language}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((data / part / f"{language}.txt").read_text())
    derive(DataFolder(root / "web"), DERIVED, root / "derived")
    return DataFolder(root / "derived")


class Made(NamedTuple):
    """What training one preset starts from."""

    variant: Variant
    config: RunConfig
    vocabulary: Vocabulary
    tokens: Path
    family: Family


@pytest.fixture(scope="module")
def made_anew(tmp_path_factory, make_study, folder) -> Callable[[str], Made]:
    """The function that gets a preset ready to be trained; equal vocabularies are learnt once."""
    root = tmp_path_factory.mktemp("made")
    path = make_study(root / "all.yaml", **SETTINGS, variants=sorted(presets()))
    study = StudyConfig.load(path)
    prepared: dict[str, tuple[Vocabulary, Path]] = {}

    def make(name: str) -> Made:
        variant = study.variant(name)
        text = variant.text_of(("en", "fr"))
        key = repr((variant.vocabulary, text))
        if key not in prepared:
            out = root / str(len(prepared))
            build_vocabulary(folder, text, variant.vocabulary, out / "vocabulary")
            vocabulary = Vocabulary.load(out / "vocabulary")
            settings = TokensConfig(dev_share=0.1)
            build_tokens(folder, text, vocabulary, out / "tokens", settings, workers=1)
            prepared[key] = vocabulary, out / "tokens"
        vocabulary, tokens = prepared[key]
        config = RunConfig(
            languages=tuple(text),
            model=variant.model,
            separate=variant.separate,
            pretraining=variant.pretraining,
        )
        return Made(
            variant,
            config,
            vocabulary,
            tokens,
            run._family(vocabulary, config, torch.device("cpu")),
        )

    return make


@pytest.fixture(scope="module")
def made(made_anew) -> Callable[[str], Made]:
    """The same for tests that change no weight: what each preset makes is made once."""
    return cache(made_anew)


# One of each way to save: one table, two, all separate, own specials, fixed positions, a clone.
UNLIKE = {
    *("default", "default-anchors", "sep-emb-L1-3", "monolingual", "sep-specials"),
    *("sep-emb-sinusoidal", "inverted"),
}


@pytest.fixture(params=sorted(EXPECTED))
def name(request) -> str:
    return request.param


def parameters(family: Family, language: str) -> dict[str, torch.nn.Parameter]:
    return dict(family.member(language).named_parameters(remove_duplicate=False))


def test_which_tensors_are_the_same_object(made, name):
    family, row = made(name).family, EXPECTED[name]
    assert family.languages == ("en", row.other)
    english, other = (parameters(family, language) for language in family.languages)
    assert english.keys() == other.keys()
    for parameter in english:
        separate = row.separates(parameter)
        assert (english[parameter] is not other[parameter]) == separate, parameter
    shared = {id(parameter) for parameter in family.shared_parameters().values()}
    for language in family.languages:
        private = {id(parameter) for parameter in family.private_parameters(language).values()}
        assert private == {
            id(parameter)
            for key, parameter in parameters(family, language).items()
            if row.separates(key)
        }
        assert not private & shared


def rows_of(preset: Made, language: str, more: int) -> dict[tuple[int, int], str]:
    """Return the rows that a language's tokens have, by table and number, and their tokens."""
    table = preset.family.member(language).bert.embeddings.word_embeddings.weight
    assert len(table) == preset.vocabulary.sizes[language] + more
    tokens = preset.vocabulary.tokens(language)
    return {(id(table), n): tokens[n] for n in preset.vocabulary.own_ids(language).tolist()}


def test_which_vocabulary_items_are_shared(made, name):
    preset, row = made(name), EXPECTED[name]
    more = 5 if "specials" in row.own else 0
    english, other = (rows_of(preset, language, more) for language in preset.family.languages)
    common = english.keys() & other.keys()
    spelled_alike = set(english.values()) & set(other.values())
    assert len(spelled_alike) > 10
    if row.anchors == "none":
        assert not common
    elif row.anchors == "tokens":
        assert {english[place] for place in common} == spelled_alike
        assert english.keys() != other.keys()
    else:
        assert english == other
    # The budget is the same for all: what is not joint has half of it a language.
    entries = {"all": 150, "none": 5 + 2 * 70, "tokens": 5 + len({*english, *other})}
    assert preset.vocabulary.entries == entries[row.anchors] <= 150


def test_which_parameters_a_batch_of_one_language_changes(made_anew, name, folder):
    preset = made_anew(name)
    family, settings = preset.family, preset.variant.pretraining
    parallel = None
    if settings.tlm:
        parallel = load_parallel_text(
            folder, settings.tlm.sets, preset.vocabulary, family.languages
        )
    maker = BatchMaker(
        language_texts(preset.tokens, preset.vocabulary, preset.config),
        settings.model_copy(update={"steps": 30}),
        preset.vocabulary.special_ids,
        parallel,
    )
    batch = next(b for b in map(maker.batch, range(30)) if b.language != "en" or b.others)
    assert bool(batch.others) == (name == "mixed")
    before = {
        language: {key: value.detach().clone() for key, value in found.items()}
        for language, found in ((k, parameters(family, k)) for k in family.languages)
    }
    optimizer = FamilyOptimizer(family, settings.optimizer, 30)
    with world() as here:
        forward_backward(family, batch, settings, here, 1)
    optimizer.step(10)
    row = EXPECTED[name]
    for key, value in parameters(family, "en").items():
        assert torch.equal(value, before["en"][key]) == row.separates(key), key
    for key, value in parameters(family, batch.language).items():
        moved = not torch.equal(value, before[batch.language][key])
        assert moved == value.requires_grad, key
    # The softmax is shared where the embeddings are: then the rows of English move too.
    rows = torch.from_numpy(preset.vocabulary.own_ids("en"))
    bias = parameters(family, "en")["cls.predictions.bias"]
    moved = bias[rows] != before["en"]["cls.predictions.bias"][rows]
    own = row.own_tokens or "softmax" in row.own
    assert moved.all() if not own else not moved.any()
    # The mark of masked words, the same for both unless they have special tokens of their own
    mask = parameters(family, "en")["bert.embeddings.word_embeddings.weight"][4]
    before_mask = before["en"]["bert.embeddings.word_embeddings.weight"][4]
    # As a token it moves with the rows above, as a word masked with the inputs
    separate = row.own_tokens or row.own == ("specials", "softmax")
    assert (mask != before_mask).any() != separate


def test_what_random_replacements_are_drawn_from(made, name):
    preset, row = made(name), EXPECTED[name]
    texts = language_texts(preset.tokens, preset.vocabulary, preset.config)
    for language, text in texts.items():
        joint = np.arange(5, preset.vocabulary.size)
        own = row.own_tokens or "replacements" in row.own
        expected = preset.vocabulary.own_ids(language) if own else joint
        assert (text.replacements == expected).all()
        assert text.replacements.max() < preset.vocabulary.sizes[language]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in UNLIKE else pytest.mark.slow)
        for name in sorted(EXPECTED)
    ],
)
def test_a_saved_family_reopens_with_equal_logits(made, name, folder, tmp_path):
    preset, own = made(name), "specials" in EXPECTED[name].own
    save_family(preset.family.eval(), preset.vocabulary, tmp_path / "model")
    for language in preset.family.languages:
        model = AutoModelForMaskedLM.from_pretrained(tmp_path / "model" / language)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model" / language)
        line = folder.text("wiki", language).read_text().split("\n")[0]
        ids = tokenizer(line, return_tensors="pt").input_ids
        expected = preset.vocabulary.tokenizer(language).encode(line).ids
        first = preset.vocabulary.size if own and language != "en" else 0
        assert ids[0].tolist() == [first + n if n < 5 else n for n in expected]
        assert tokenizer.mask_token_id == first + 4
        with torch.no_grad():
            expected = preset.family.member(language)(ids).logits
            assert torch.equal(model(ids).logits, expected)
        assert expected.shape[-1] == preset.vocabulary.sizes[language] + 5 * own


def test_the_other_domain_is_as_large_as_what_it_stands_for(made, folder):
    text = made("wiki-cc").variant.text_of(("en", "fr"))
    assert text["en"] == (TextPart(domain="wiki"),)
    assert text["fr"] == MatchedText(
        parts=(TextPart(domain="web"),), size_of=(TextPart(domain="wiki"),)
    )
    counts = {
        name: sum(np.load(made(name).tokens / "fr" / "counts.npy")[5:])
        for name in ("default", "wiki-cc")
    }
    assert counts["wiki-cc"] == pytest.approx(counts["default"], rel=0.1)


def test_random_leaves_the_untrained_weights(made, tmp_path):
    preset = made("random")
    assert preset.variant.pretraining.steps == 0
    run.pretrain(preset.tokens, preset.vocabulary.path, tmp_path / "run", preset.config)
    for language in ("en", "fr"):
        model = AutoModelForMaskedLM.from_pretrained(tmp_path / "run" / "model" / language)
        for key, value in parameters(preset.family, language).items():
            assert torch.equal(dict(model.named_parameters(remove_duplicate=False))[key], value)


def test_extra_anchors_switch_as_in_the_paper(made):
    switching = made("extra-anchors").variant.pretraining.code_switching
    assert (switching.probability, switching.maximum_share) == (0.3, 0.15)
    assert made("default").variant.pretraining.code_switching is None


def test_tlm_learns_from_the_parallel_set_for_training_and_refuses_to_be_measured_on_it(
    made, study_file
):
    assert made("tlm").variant.pretraining.tlm.sets == ("train",)
    with pytest.raises(XlingError, match=r"train is in probe\.datasets too"):
        StudyConfig.load(study_file(variants=["tlm"], probe={"datasets": ["train"]}))
    named = {"told": {"preset": "tlm", "pretraining": {"tlm": {"sets": ["talks"]}}}}
    study = StudyConfig.load(study_file(variants=named, probe={"datasets": ["held-out"]}))
    assert study.variant("told").pretraining.tlm.sets == ("talks",)


@pytest.mark.parametrize(
    ("variants", "fault"),
    [
        (["sep-embeddings"], "no preset 'sep-embeddings'; the presets are default, wiki-cc, no-a"),
        ({"mine": {}}, "no preset 'mine'; the presets are"),
        ({"mine": {"preset": "x"}}, "no preset 'x'; the presets are"),
        ({"sep-emb": {"model": {"layers": 2}}}, r"sep-emb: is the name of a preset.*`preset: sep-"),
        (["default", "default"], "named twice"),
        (["wiki-cc"], "wiki-cc: .*domain: other needs other_domain"),
    ],
)
def test_faults_of_variants_say_what_to_write(study_file, variants, fault):
    with pytest.raises(XlingError, match=fault):
        StudyConfig.load(study_file(variants=variants))


def test_three_ways_to_write_a_variant(study_file):
    variants = {
        "sep-emb": None,
        "smaller": {"preset": "sep-emb", "model": {"hidden": 8}},
        "default": {"model": {"hidden": 8}},
    }
    study = StudyConfig.load(study_file(variants=variants))
    sep_emb, smaller = study.variant("sep-emb"), study.variant("smaller")
    assert smaller == sep_emb.model_copy(update={"model": smaller.model})
    assert smaller.model.hidden == study.variant("default").model.hidden == 8
    assert study.variant("default").vocabulary.kind == "joint"
    names = StudyConfig.load(study_file(variants=["default", "sep-emb"]))
    assert names.variant("sep-emb") == sep_emb


def test_a_derived_language_is_a_job_of_its_own_and_planned_once(study_file, data, folder):
    path = study_file(
        pairs=["en-fr", "en-fr2"],
        variants=["default", "inverted", "bilingual-same-language"],
    )
    (folder.root / "x").mkdir(exist_ok=True)
    with pytest.raises(XlingError, match="fr2"):
        Planner(StudyConfig.load(path), data).plan()
    path = study_file(variants=["default", "inverted", "bilingual-same-language"])
    plan = Planner(StudyConfig.load(path), data).plan()
    (job,) = [job for job in plan.jobs if job.stage == "derive"]
    assert job.settings == DERIVED.model_dump()
    assert (plan.data, plan.given) == (job.folder, str(data))
    assert [run.pair for run in plan.runs] == [
        ("en", "fr"),
        ("en", "en_inverted"),
        ("en", "en_same"),
    ]


def test_three_languages_in_one_model_are_probed_with_the_base(study_file, tmp_path, make_data):
    data = make_data(tmp_path / "data", {"en": 1, "fr": 2})
    for part in ("text/wiki", "parallel/held-out"):
        (data / part / "de.txt").write_text((data / part / "fr.txt").read_text())
    path = study_file(pairs=["en-fr-de"], variants=["default", "sep-emb"])
    plan = Planner(StudyConfig.load(path), data).plan()
    for planned in plan.runs:
        assert planned.pretrain.settings["languages"] == ["en", "fr", "de"]
        assert [p.settings["languages"] for p in planned.scores] == [["en", "fr"], ["en", "de"]]
