"""Specifications: pinned by necessity, presets with changes, faults that name their place."""

import re
from pathlib import Path

import pytest
import yaml

from xling.data.hub.presets import PRESETS
from xling.data.hub.spec import HubSpec
from xling.errors import XlingError
from xling.settings import load_settings


def load(tmp_path, spec):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(spec))
    return load_settings(path, HubSpec)


def test_every_preset_is_whole_and_pinned_to_a_commit(tmp_path):
    for part, presets in PRESETS.items():
        for name in presets:
            value = name if part in ("nli", "ner", "ud", "topics") else {"x": name}
            languages = ["en", "fr", "zh"] if name != "fineweb-2" else ["fr", "zh"]
            spec = load(tmp_path, {"languages": languages, part: value})
            ((_, source),) = spec.sources()
            assert source.revision is not None
            assert len(source.revision) == 40
            assert source.config_of("fr")


def test_a_preset_takes_changes(tmp_path):
    changed = {"preset": "universal-dependencies", "configs": {"fr": "fr_sequoia"}}
    spec = load(tmp_path, {"languages": ["en", "fr"], "ud": changed})
    assert spec.ud is not None
    assert spec.ud.config_of("fr") == "fr_sequoia"
    assert spec.ud.config_of("en") == "en_ewt"


WIKI = {"preset": "wikipedia"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"text": {"wiki": {**WIKI, "revision": None}}}, r"text\.wiki: revision: found None"),
        ({"text": {"wiki": {**WIKI, "revision": "main"}}}, r"'main' for wikimedia/wikipedia.*40"),
        ({"text": {"wiki": "wikipaedia"}}, r"preset 'wikipaedia', expected one of wikipedia"),
        ({"text": {"web": "fineweb-2"}}, r"text/web: no configuration of .*fineweb-2 known for en"),
        ({"text": {"wiki": {**WIKI, "data": "mirror"}}}, r"'mirror', expected OWNER/NAME"),
        ({"text": {"wiki": {**WIKI, "languages": ["sw"]}}}, r"text/wiki: sw not among languages"),
        ({"text": {"wiki": {**WIKI, "size_of": "web"}}}, r"expected a domain before it"),
        ({"pairs": {"t": {"preset": "tatoeba", "pivot": "xx"}}}, r"parallel/t: xx not among"),
        (
            {"nli": {"preset": "xnli", "fields": {"text": "x"}}},
            r"nli\.fields: found text; expected",
        ),
        ({"nli": {"preset": "xnli", "line": 3}}, r"nli\.line: unknown setting"),
        ({"parallel": {"../up": "xnli"}}, r"'\.\./up' is not a name"),
        ({"dictionaries": {"en": {"source": "s", "licence": "l"}}}, r"'en' is not two of the"),
    ],
)
def test_faults_name_their_place(tmp_path, spec, said):
    with pytest.raises(XlingError, match=said):
        load(tmp_path, {"languages": ["en", "fr"], **spec})


def test_a_folder_needs_no_revision_and_the_converted_branch_is_one(tmp_path):
    for change in ({"data": "./copy", "revision": None}, {"revision": "refs/convert/parquet"}):
        load(tmp_path, {"languages": ["en"], "text": {"wiki": {**WIKI, **change}}})


def test_the_specifications_in_the_documentation_are_ones(tmp_path):
    text = (Path(__file__).resolve().parents[3] / "docs/data.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall("```yaml\n(.*?)```", text, re.DOTALL)]
    whole, own = (
        block
        for block in blocks
        if isinstance(block.get("text", {}), dict)
        and "text" in block
        and "source" not in block["text"]
    )
    spec = load(tmp_path, whole)
    assert spec.text["wiki"].lines == 100_000
    assert spec.dictionaries["en-fr"].test == Path("muse/en-fr.5000-6500.txt")
    assert load(tmp_path, {"languages": ["en"], **own}).text["news"].data == "OWNER/NAME"
