"""The stage and the verb: what is written, resumed, refused, compared and exported."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import xling
from xling.audit import measure as measuring
from xling.audit.advice import EDGE, INSIDE, OUTSIDE
from xling.audit.command import run
from xling.audit.compare import compare_audits
from xling.audit.config import AuditSettings
from xling.audit.result import Audit
from xling.audit.stage import audit_models, check_limits, chosen_set, failing
from xling.audit.subjects import names_of
from xling.cli import app
from xling.data.layout import DataFolder
from xling.encoders.coverage import CoverageWarning
from xling.encoders.encoder import Encoder
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.results import COLUMNS, TRAINED

from .conftest import (
    LANGUAGES,
    aligned_model,
    parallel_lines,
    save_model,
    word_tokenizer,
    write_data,
)

QUICK = AuditSettings(resamples=100)
TABLES = ("scores.csv", "rotation.csv", "matrix.csv")


def trained(found: Audit, probe="retrieval", metric="p@1"):
    frame = found.scores[found.scores["condition"].eq(TRAINED) & found.scores["direction"].eq("")]
    return frame[frame["probe"].eq(probe) & frame["metric"].eq(metric)]


def test_the_folder_holds_what_it_says(audited):
    assert {*TABLES, "audit.json", "audit.html", "artefact.json"} <= {
        path.name for path in audited.iterdir()
    }
    found = Audit.load(audited)
    assert list(found.scores.columns) == ["model", *COLUMNS]
    assert list(found.rotation.columns) == ["model", "pairs", *COLUMNS]
    assert found.facts["languages"] == ["en", "fr", "xx"]
    assert found.facts["models"][0]["layers"] == ["0", "1", "2"]
    figures = {path.name for path in (audited / "figures").iterdir()}
    assert {"layers.svg", "layers.png", "ladder.svg", "gain.svg", "tokenizer.svg"} <= figures
    assert (audited / "figures" / "layers.png").read_bytes().startswith(b"\x89PNG")
    kept = sorted(path.name for path in (audited.parent / "one.vectors/small").iterdir())
    assert kept == ["trained"]


def test_every_score_is_where_it_should_be(audited):
    scores = Audit.load(audited).scores
    assert not scores.duplicated(["model", *COLUMNS[:8]]).any()
    assert scores["value"].notna().all()
    both = scores[scores["low"].notna()]
    assert (both["low"] <= both["value"] + 1e-9).all()
    assert (both["high"] >= both["value"] - 1e-9).all()
    expected = {"cka", "retrieval", "retrieval-anchor-free", "retrieval-pooled", "mexa", "space"}
    expected |= {"neighbours", "language-identity", "tokenizer", "coverage", "cka-anchor-free"}
    assert set(scores["probe"]) == expected


def test_what_is_current_is_left_alone(audited, model, data):
    before = (audited / "audit.json").stat().st_mtime_ns
    audit_models([str(model)], data, audited, AuditSettings(resamples=200))
    assert (audited / "audit.json").stat().st_mtime_ns == before


def test_an_audit_that_was_stopped_goes_on(tmp_path, model, data, monkeypatch):
    audit_models([str(model)], data, tmp_path / "whole", QUICK)
    write, seen = measuring.write_vectors, []

    def stopping(folder, subject, language, *more):
        seen.append(language)
        if seen == ["en", "fr", "xx"]:
            raise KeyboardInterrupt
        write(folder, subject, language, *more)

    monkeypatch.setattr(measuring, "write_vectors", stopping)
    with pytest.raises(KeyboardInterrupt):
        audit_models([str(model)], data, tmp_path / "cut", QUICK)
    assert not (tmp_path / "cut").exists()
    audit_models([str(model)], data, tmp_path / "cut", QUICK)
    assert seen == ["en", "fr", "xx", "xx", "en", "fr", "xx"]  # and those of the untrained model
    for name in TABLES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_the_card_says_what_the_scores_say(audited):
    found = Audit.load(audited)
    (model,) = found.facts["models"]
    layer = model["layers"].index(model["best layer"])
    rows = trained(found)
    rows = rows[rows["layer"].eq(layer)].set_index("language")
    for code, of in model["standing"].items():
        row = rows.loc[f"en-{code}"]
        assert (of["value"], of["low"], of["high"]) == (row["value"], row["low"], row["high"])
    assert model["standing"]["fr"]["standing"] in (INSIDE, EDGE)
    assert model["standing"]["xx"]["standing"] == OUTSIDE
    kinds = {one.kind: one for one in found.advice}
    mean = 100 * rows["value"].mean()
    assert f"{mean:.1f}".removesuffix(".0") + " %" in kinds["best-layer"].sentence
    pooled = trained(found, "retrieval-pooled")
    pooled = pooled[pooled["language"].eq("")].set_index("layer")["value"]
    best = model["layers"].index(model["best layer for one index"])
    said = f"{100 * pooled[best]:.1f}".removesuffix(".0")
    assert f"{said} %" in kinds["one-index"].sentence
    assert "outside: xx" in kinds["languages"].sentence.lower()


def test_gains_are_those_of_the_hits_on_lines_that_chose_nothing(apart, lines):
    two = {code: lines[code] for code in ("en", "fr")}
    found = xling.audit(str(apart), two, untrained_seeds=(), resamples=100)
    (advice,) = [one for one in found.advice if one.kind == "one-index-centred"][:1]
    assert advice.gain == pytest.approx((advice.low + advice.high) / 2, abs=0.1)
    assert advice.n == len(lines["en"]) // 2
    assert advice.low > 0
    assert f"{100 * advice.gain:+.1f} points" in advice.sentence


def test_the_page_needs_nothing_else(audited):
    page = (audited / "audit.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert not re.search(r'(src|href)="(?!#|data:)', page.split("<script")[0])
    assert len(page) < 2_000_000
    found = Audit.load(audited)
    from markupsafe import escape

    for advice in found.advice:
        assert str(escape(advice.sentence)) in page
    charts = json.loads(re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)[1])
    assert set(charts["panels"]) == set(found.figures)
    assert charts["matrices"]["matrix-0"]["languages"] == ["en", "fr", "xx"]


def test_names_and_lines_cannot_break_the_page(tmp_path, model, lines):
    wild = [f"</script><b>{line}" if i % 3 else line for i, line in enumerate(lines["xx"])]
    found = xling.audit(str(model), {"en": lines["en"], "xx": wild}, untrained_seeds=())
    page = found.html()
    assert found.facts["models"][0]["worst"]
    assert "</script><b>" not in page


def test_python_and_the_verb_agree(tmp_path, model, data, lines, audited):
    card = xling.audit(str(model), lines, resamples=200)
    verb = Audit.load(audited)
    left = card.scores.drop(columns="dataset")
    right = verb.scores.drop(columns="dataset")
    np.testing.assert_array_equal(left["value"], right["value"])
    assert [one.sentence for one in card.advice] == [one.sentence for one in verb.advice]
    card.save(tmp_path / "card")
    assert (tmp_path / "card" / "audit.html").is_file()
    shown = card._repr_html_()
    assert "outside" in shown.lower()
    assert shown.count("<svg") == 1


def test_objects_in_memory_can_be_audited(lines, model):
    encoder = Encoder.load(model, "en")
    card = xling.audit((encoder.model, encoder.tokenizer), lines, untrained_seeds=(), resamples=50)
    assert card.facts["models"][0]["name"] == "small"  # the folder it was opened from
    made = aligned_model()
    card = xling.audit((made, encoder.tokenizer), lines, untrained_seeds=(), resamples=50)
    assert card.facts["models"][0]["name"] == "BertModel"


@pytest.mark.usefixtures("pictures")
def test_models_side_by_side(tmp_path, model, other_model, data):
    audit_models([str(model), str(other_model)], data, tmp_path / "two", QUICK)
    found = Audit.load(tmp_path / "two")
    assert list(dict.fromkeys(found.scores["model"])) == ["small", "other"]
    page = (tmp_path / "two" / "audit.html").read_text(encoding="utf-8")
    assert "Which model?" in page
    assert {"layers-1", "layers-2", "models"} <= set(found.figures)
    assert (tmp_path / "two" / "figures" / "models.svg").is_file()


@pytest.mark.usefixtures("pictures")
def test_checkpoints_are_folders_within_or_revisions(tmp_path, data):
    for step, shift in (("step1", 4.0), ("step2", 0.5)):
        save_model(tmp_path / "run" / step, shift=shift)
    settings = AuditSettings(resamples=50, untrained_seeds=(), languages=("en", "fr"))
    out = tmp_path / "out"
    audit_models([str(tmp_path / "run")], data, out, settings, revisions=["step1", "step2"])
    names = [model["name"] for model in Audit.load(out).facts["models"]]
    assert names == ["run@step1", "run@step2"]
    with pytest.raises(XlingError, match=r"step3: not found"):
        audit_models([str(tmp_path / "run")], data, out, settings, revisions=["step3"])


def test_two_models_of_one_language_each_through_a_rotation(tmp_path, data):
    one = save_model(tmp_path / "one", width=8)
    other = save_model(tmp_path / "other", width=16, layers=4)
    settings = AuditSettings(resamples=50, mapped=True, languages=("en", "fr"), untrained_seeds=())
    audit_models([str(one), str(other)], data, tmp_path / "out", settings)
    found = Audit.load(tmp_path / "out")
    (facts,) = found.facts["models"]
    assert facts["metric"] == "p@1-rotated"
    assert facts["layers"] == ["0", "1", "2"]
    assert set(found.scores.query("probe == 'retrieval'")["metric"]) <= {"p@1-rotated", "p@1"}
    assert (tmp_path / "out" / "audit.html").is_file()
    with pytest.raises(XlingError, match="expected two models"):
        audit_models([str(one)], data, tmp_path / "x", settings)


def test_limits_fail_with_a_sentence(audited, model, data):
    found = Audit.load(audited)
    assert failing(found, ["retrieval=0"]) == []
    broken = failing(found, ["retrieval=0.9", "one-index=1"])
    assert any(
        "retrieval of en-xx is" in sentence and "below 0.9" in sentence for sentence in broken
    )
    assert any("one index finds" in sentence for sentence in broken)
    for wrong in ("speed=0.9", "retrieval", "retrieval=2", "retrieval=nan"):
        with pytest.raises(XlingError, match="--fail-under"):
            check_limits([wrong])


def test_the_verb_prints_the_advice_and_its_status_is_1_below_a_limit(
    audited, model, data, tmp_path
):
    config = tmp_path / "audit.yaml"
    config.write_text("resamples: 200\n")
    words = ["audit", str(model), "--data", str(data), "--out", str(audited)]
    words += ["--config", str(config)]
    fine = CliRunner().invoke(app, words)
    assert fine.exit_code == 0, fine.output
    assert "is best" in fine.output
    assert str(audited / "audit.html") in fine.output
    low = CliRunner().invoke(app, [*words, "--fail-under", "retrieval=0.95"])
    assert low.exit_code == 1
    assert "below 0.95" in low.output


def test_comparison_is_paired_and_sees_what_changed(audited, tmp_path, data, other_model):
    same = compare_audits(audited / "audit.json", audited)
    assert "unclear" in same[-1]
    assert "+0.000 to +0.000" in same[-1]
    audit_models([str(other_model)], data, tmp_path / "b", AuditSettings(resamples=200))
    text = compare_audits(audited / "audit.json", tmp_path / "b" / "audit.json")[-1]
    a, b = (
        Audit.load(path).facts["models"][0]["standing"]["fr"]["value"]
        for path in (audited, tmp_path / "b")
    )
    row = next(line for line in text.splitlines() if line.split()[0] == "fr")
    assert row.split()[1:4] == [f"{a:.3f}", f"{b:.3f}", f"{b - a:+.3f}"]
    with pytest.raises(XlingError, match="not found"):
        compare_audits(audited, tmp_path / "nowhere" / "audit.json")


def test_the_set_with_most_languages_and_english_first(tmp_path, lines):
    write_data(tmp_path, {code: lines[code] for code in ("fr", "xx")}, "a")
    write_data(tmp_path, lines, "b")
    folder = DataFolder(tmp_path)
    assert chosen_set(folder, AuditSettings()) == ("b", ("en", "fr", "xx"))
    wanted = AuditSettings(languages=("xx", "fr"))
    assert chosen_set(folder, wanted) == ("a", ("xx", "fr"))
    with pytest.raises(XlingError, match=r"no language de .*a: fr, xx"):
        chosen_set(folder, AuditSettings(languages=("en", "de")))


def test_names_are_as_long_as_they_must_be(tmp_path):
    for place in ("a/model", "b/model"):
        (tmp_path / place).mkdir(parents=True)
    names = names_of([str(tmp_path / "a/model"), str(tmp_path / "b/model")])
    assert list(names) == ["a", "b"]
    run = "pretrain/en-sw/default/seed-1-87f602ba/model"
    names = names_of([f"/one/{run}", f"/two/{run}", "/three/xlm-r", "/x/model/en"])
    assert list(names) == [
        "one/en-sw/default, seed 1",
        "two/en-sw/default, seed 1",
        "xlm-r",
        "x en",
    ]
    hub = "/cache/models--owner--e5/snapshots/0123abc"
    assert list(names_of([hub, "owner/other"])) == ["owner/e5", "owner/other"]
    assert list(names_of(["/a/b c", "/a/b_c", "/a/d"])) == ["/a/b c@", "/a/b_c@", "d"]
    with pytest.raises(XlingError, match="named twice"):
        names_of([str(tmp_path / "a/model")] * 2)


def test_what_cannot_be_audited_is_refused_in_one_line(tmp_path, model, data):
    out = tmp_path / "out"
    with pytest.raises(XlingError, match=r"nowhere: not found; expected a model's folder"):
        audit_models([str(tmp_path / "nowhere")], data, out, QUICK)
    with pytest.raises(XlingError, match="no model is named"):
        audit_models([], data, out, QUICK)
    with pytest.raises(XlingError, match="--data is missing"):
        run([str(model)], None, out, None, {})
    unequal = write_data(tmp_path / "unequal", parallel_lines(20))
    path = unequal / "parallel/talks/fr.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(XlingError, match="unequal line counts"):
        audit_models([str(model)], unequal, out, QUICK)
    bare = write_data(tmp_path / "bare", {**parallel_lines(20), "xx": [""] * 20})
    with pytest.raises(XlingError, match="xx: no line has a token"):
        audit_models([str(model)], bare, out, QUICK)
    diverged = tmp_path / "diverged"
    shutil.copytree(model, diverged)
    weights = load_file(diverged / "model.safetensors")
    name = next(name for name in weights if "layer.1" in name)
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, diverged / "model.safetensors", {"format": "pt"})
    with pytest.raises(XlingError, match=r"holds NaN or infinity: it has diverged"):
        audit_models([str(diverged)], data, out, QUICK)
    assert not out.exists()


def test_text_that_is_cut_and_words_that_are_unknown_are_caveats(tmp_path, model):
    lines = {code: [" ".join([line] * 6) for line in of] for code, of in parallel_lines(30).items()}
    lines["xx"] = [line.replace("c1", "zz") for line in lines["xx"]]
    with pytest.warns(CoverageWarning, match="truncated"):
        found = xling.audit(str(model), lines, untrained_seeds=(), resamples=50)
    page = found.html()
    assert "lines in fr at" in page
    assert "tokens of xx are unknown" in page
    assert "No untrained model was measured" in page


def test_the_tokenizer_is_counted(audited, lines):
    scores = Audit.load(audited).scores
    own = scores[scores["probe"].eq("tokenizer")].set_index(["language", "metric"])["value"]
    counts = {code: sum(len(line.split()) for line in texts) for code, texts in lines.items()}
    for code in LANGUAGES:
        assert own[code, "tokens-relative"] == pytest.approx(counts[code] / counts["en"])
        assert own[code, "tokens-per-word"] == pytest.approx(1)
        assert own[code, "unknown"] == 0
    assert own["en-fr", "shared"] == 0


def test_byte_pieces_and_a_prefix_are_told_apart(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from xling.audit.subjects import Subject
    from xling.audit.tokenizer import score_tokenizer
    from xling.results import Key

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    encoder = Encoder("en", aligned_model(), tokenizer)
    lines = {"en": ["abc", "de"], "fr": ["añ", "жz"]}
    encoders = dict.fromkeys(lines, encoder)
    subject = Subject.of_encoders("bytes", encoders, "q ")
    sentences = {code: subject.tokens(code, texts) for code, texts in lines.items()}
    found = {
        (s.language, s.metric): s.value for s in score_tokenizer(Key(), subject, lines, sentences)
    }
    assert found["en", "tokens-relative"] == 1
    assert found["fr", "tokens-relative"] == pytest.approx(6 / 5)
    assert found["en", "byte-fallback"] == 0
    assert found["fr", "byte-fallback"] == pytest.approx(4 / 10)  # two bytes each, of 6 + 2 x 2


@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
def test_tasks_are_learnt_on_frozen_features(tmp_path, model):
    root = write_data(tmp_path / "data", parallel_lines(40))
    random = np.random.default_rng(0)
    for code, letter in LANGUAGES.items():
        for split in ("train", "dev", "test"):
            path = root / "topics" / code / f"{split}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = random.integers(60, size=(20, 6))
            text = (" ".join(f"{letter}{n}" for n in row) for row in rows)
            path.write_text("".join(f"{i}\t{'ab'[i % 2]}\t{t}\n" for i, t in enumerate(text)))
    settings = AuditSettings(resamples=50, untrained_seeds=(), tasks=("topics",))
    audit_models([str(model)], root, tmp_path / "out", settings)
    scores = Audit.load(tmp_path / "out").scores
    assert {"en", "fr", "xx"} <= set(scores[scores["probe"].eq("transfer-topics")]["language"])


def test_help_names_the_verb():
    found = CliRunner().invoke(app, ["--help"])
    assert "audit" in found.output
    assert Path(xling.__file__).parent.joinpath("audit").is_dir()


def test_few_lines_that_are_all_found_put_no_language_inside(model, lines):
    few = dict.fromkeys(("en", "en2"), lines["en"][:12])
    card = xling.audit(str(model), few, untrained_seeds=(), resamples=50)
    standing = card.facts["models"][0]["standing"]["en2"]
    assert (standing["value"], standing["low"]) == (1, 1)
    assert standing["standing"] == EDGE  # 0.025 ** (1 / 12) is 0.74
    assert "each of these 12 lines was found" in card.html()
    many = dict.fromkeys(("en", "en2"), lines["en"])
    card = xling.audit(str(model), many, untrained_seeds=(), resamples=50)
    assert card.facts["models"][0]["standing"]["en2"]["standing"] == INSIDE


def test_a_missing_prefix_is_tried_where_the_name_asks_for_one(tmp_path, model, data):
    shutil.copytree(model, tmp_path / "small-e5-base")
    settings = AuditSettings(resamples=50, untrained_seeds=())
    audit_models([str(tmp_path / "small-e5-base")], data, tmp_path / "out", settings)
    (advice,) = [one for one in Audit.load(tmp_path / "out").advice if one.kind == "prefix"]
    assert "'query: '" in advice.sentence
    assert advice.low <= advice.gain <= advice.high
    given = settings.model_copy(update={"prefix": "query: "})
    audit_models([str(tmp_path / "small-e5-base")], data, tmp_path / "with", given)
    assert not [one for one in Audit.load(tmp_path / "with").advice if one.kind == "prefix"]


def test_names_on_the_hub_are_fetched_once_at_their_revision(tmp_path, model, monkeypatch):
    import huggingface_hub

    from xling.audit.subjects import fetched

    asked = []

    def download(name, revision, **patterns):
        asked.append((name, revision))
        assert "*.safetensors" in patterns["allow_patterns"]
        if name == "nobody/nothing":
            raise OSError("no such repository")
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert fetched("owner/name", "step1000") == model
    assert asked == [("owner/name", "step1000")]
    with pytest.raises(XlingError, match=r"nobody/nothing at revision x: not found; expected"):
        fetched("nobody/nothing", "x")


def test_a_family_is_audited_by_its_members(tmp_path):
    from xling.audit.stage import audit_lines
    from xling.audit.subjects import Subject

    lines = {code: of for code, of in parallel_lines(40).items() if code != "xx"}
    tokenizer = word_tokenizer()
    members = {
        code: Encoder(code, aligned_model(seed=seed), tokenizer) for seed, code in enumerate(lines)
    }
    subject = Subject.of_encoders("family", members)
    assert len(subject.distinct) == 2
    found = audit_lines({"family": lambda: subject}, lines, "talks", QUICK, tmp_path / "kept")
    for seed, code in enumerate(lines):
        encoder = Encoder(code, aligned_model(seed=seed), tokenizer)
        expected = sentence_vectors(encoder, lines[code])[2]
        kept = np.load(tmp_path / f"kept/family/trained/{code}/vectors/main/layer-2.npy")
        np.testing.assert_allclose(kept, expected, atol=1e-5)
    assert found.facts["models"][0]["languages"] == ["en", "fr"]
