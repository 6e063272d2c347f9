"""Pictures say what the presets do, and the committed ones are those that the code draws."""

import importlib.util
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from xling.model.sharing import SharingPlan, all_parts
from xling.study.presets import presets

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = DOCS / "pictures"
SVG = "{http://www.w3.org/2000/svg}"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PICTURES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


factors = script("factors")
demo = script("demo")
findings = script("findings")


def committed(name: str) -> str:
    return (PICTURES / "factors" / f"{name}.svg").read_text(encoding="utf-8")


def test_there_is_a_picture_for_each_preset_and_no_other():
    assert {path.stem for path in (PICTURES / "factors").glob("*.svg")} == set(presets())


@pytest.mark.parametrize("name", presets())
def test_the_committed_picture_is_the_one_drawn_from_the_preset(name):
    hint = "presets have changed: run python docs/pictures/factors.py"
    assert committed(name) == factors.draw(name, presets()[name]), hint


@pytest.mark.parametrize("name", presets())
def test_two_boxes_for_what_each_language_has_for_itself(name):
    changes = presets()[name]
    separate = SharingPlan.parse(changes.get("separate", ()), factors.LAYERS).separate
    picture = ElementTree.fromstring(committed(name))
    boxes: Counter[str] = Counter()
    for box in picture.iter(f"{SVG}rect"):
        boxes.update((box.get("data-parts") or "").split(", "))
    del boxes[""]
    assert boxes.pop("embeddings.specials", 0) == (2 if "embeddings.specials" in separate else 0)
    own = {key for key, value in changes.get("pretraining", {}).items() if value == "own"}
    shown = Counter(box.get("data-switch") for box in picture.iter(f"{SVG}rect"))
    del shown[None]
    labels = {"softmax": "softmax", "replacements": "random tokens"}
    assert shown == {labels[switch]: 2 for switch in own}
    # The output is the token embeddings again. Norms are not shown.
    boxes["embeddings.tokens"] //= 2
    for part in all_parts(factors.LAYERS):
        if part in boxes or not part.startswith("embeddings"):
            assert boxes[part] == (2 if part in separate else 1), part
    kinds = {oval.get("data-vocabulary") for oval in picture.iter(f"{SVG}ellipse")}
    assert kinds == {changes.get("vocabulary", {}).get("kind", "joint")}


def test_text_is_text_and_follows_light_and_dark():
    for name in presets():
        picture = ElementTree.fromstring(committed(name))
        words = {text.text for text in picture.iter(f"{SVG}text")}
        assert {name, "head"} <= words
        assert "prefers-color-scheme: dark" in picture.find(f"{SVG}style").text


def test_a_setting_that_no_picture_shows_is_an_error():
    with pytest.raises(ValueError, match="model"):
        factors.draw("deep", {"model": {"layers": 12}})
    with pytest.raises(ValueError, match="rows"):
        factors.draw("wide", {"pretraining": {"rows": 3}})


def test_the_page_of_factors_has_every_picture_and_every_preset():
    page = (DOCS / "factors.md").read_text(encoding="utf-8")
    for name in presets():
        assert f"](pictures/factors/{name}.svg)" in page
        assert re.search(rf"^\| `{re.escape(name)}` \|", page, re.MULTILINE)


def test_the_demo_s_picture_has_the_numbers_of_the_demo_s_page():
    assert (PICTURES / "demo.svg").read_text(encoding="utf-8") == demo.draw()
    page = (DOCS / "demo.md").read_text(encoding="utf-8")
    for result in demo.RESULTS:
        assert f"{result.trained:.3f}" in page
        assert f"untrained {result.untrained:.3f}" in page


@pytest.mark.parametrize("name", findings.PICTURES)
def test_pictures_of_the_findings_have_their_numbers(name):
    results = findings.PICTURES[name]
    assert (PICTURES / f"{name}.svg").read_text(encoding="utf-8") == findings.draw(results)
    page = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert f"pictures/{name}.svg" in page
    for result in results:
        found = f"{result.trained:.3f} ({result.low:.3f}–{result.high:.3f})"
        assert found in page, result.label
