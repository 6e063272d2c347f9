"""The page is one safe, accessible file that says what is missing."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from xling.errors import XlingError
from xling.report.page import render_report

HOSTILE = "</script><script>alert(1)</script><!--<script> & <img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would make of a page, as far as the tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif not self._open:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def charts(self) -> dict[str, Any]:
        return json.loads(self.scripts[0])


BESIDE = ("results.csv", "claims.csv")  # links to files that lie beside the page


@pytest.fixture(scope="session")
def page(rendered: Path) -> Page:
    return Page(rendered.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_anywhere(page: Page, rendered: Path) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            target = attributes.get(name)
            if target is not None and not (tag == "a" and target in BESIDE):
                assert target.startswith(("#", "data:")), (tag, target)
    assert {tag for tag, _ in page.elements}.isdisjoint({"iframe", "object", "embed", "base"})
    (style,) = re.findall(r"<style>(.*?)</style>", rendered.read_text(encoding="utf-8"), re.S)
    assert "url(" not in style
    assert "@import" not in style


def test_the_security_policy_allows_exactly_the_two_scripts(page: Page) -> None:
    policies = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    (policy,) = policies
    assert policy.startswith("default-src 'none';")
    hashes = set(re.findall(r"sha256-([^']+)'", policy))
    found = {
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in page.scripts[1:]
    }
    assert len(page.scripts) == 3
    assert hashes == found
    assert "unsafe-eval" not in policy


def test_the_drawing_library_is_there_once(rendered: Path) -> None:
    assert rendered.read_text(encoding="utf-8").count("window.vegaEmbed=") == 1


def test_every_chart_has_its_place_and_data(page: Page) -> None:
    places = [d["id"] for d in page.all("div") if d.get("class") == "chart"]
    assert places == list(page.charts["panels"])
    assert len(places) == 12
    for spec in page.charts["panels"].values():
        assert len(spec["data"]["values"]) > 8


def test_structure_is_accessible(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert len(page.all("figcaption")) == len(page.all("figure")) == 3
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")}
    assert anchors <= set(ids)
    assert page.all("html")[0]["lang"] == "en"


def test_the_page_says_what_was_found_trained_and_configured(page: Page) -> None:
    for phrase in (
        "default shared layer",
        "no-anchors not shared",
        "1.86 million",
        "4 layers × 128",
        "4,000 types of fr occur fewer than 10 times",
        "layers: 4",
        "torch 2.13.0",
    ):
        assert phrase in page.words
    assert "Something is missing" not in page.words


@pytest.mark.usefixtures("pictures", "whole_library")
def test_equal_inputs_give_equal_bytes(rendered: Path) -> None:
    def content() -> dict[Path, bytes | int]:
        """What every file holds; of a PDF its size, since the library orders parts as it likes."""
        files = [path for path in rendered.parent.rglob("*") if path.is_file()]
        return {
            path: path.stat().st_size if path.suffix == ".pdf" else path.read_bytes()
            for path in files
        }

    before = content()
    render_report(rendered.parent)
    after = content()
    assert before == after
    assert {path.name for path in after if path.suffix == ".svg"} == {
        "retrieval-en-fr.svg",
        "cka-en-fr.svg",
        "training-en-fr.svg",
    }


def test_user_text_is_shown_as_text(make_study: Callable[..., Path]) -> None:
    folder = make_study(variants=("default", HOSTILE), title=HOSTILE, description=HOSTILE)
    preflight = folder / "runs/en-fr/default/seed-1/preflight.json"
    preflight.write_text(json.dumps({"warnings": [HOSTILE]}))
    html = render_report(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.scripts) == 3
    assert not page.all("img")
    assert "<!--" not in html.replace(html[html.index('<script type="module">') :], "")
    assert page.words.count(HOSTILE) >= 6
    drawn = {row["variant"] for row in page.charts["panels"]["cka-en-fr-0"]["data"]["values"]}
    assert drawn == {"default", HOSTILE}
    controls = [i["value"] for i in page.all("input") if i["name"] == "variant"]
    assert controls == ["default", HOSTILE]


def test_a_warning_of_many_runs_is_said_once_and_their_names_are_folded(
    make_study: Callable[..., Path],
) -> None:
    folder = make_study(variants=("default", "sep-emb", "wiki-cc", "extra-anchors"))
    for preflight in folder.glob("runs/*/*/*/preflight.json"):
        preflight.write_text(json.dumps({"warnings": ["little text"]}))
    words = Page(render_report(folder).read_text(encoding="utf-8")).words
    assert words.count("little text") == 1
    assert "little text 4 runs default, en-fr, seed 1; " in words


def test_missing_pieces_are_named_and_the_rest_is_shown(make_study: Callable[..., Path]) -> None:
    folder = make_study(variants=("default", "sep-emb", "no-anchors"))
    shutil.rmtree(folder / "runs/en-fr/sep-emb")
    (folder / "runs/en-fr/no-anchors/seed-1/log.jsonl").unlink()
    (folder / "runs/en-fr/no-anchors/seed-1/preflight.json").unlink()
    results = folder / "results.csv"
    lines = results.read_text().splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if ",sep-emb," not in line and not (",no-anchors," in line and ",untrained," in line)
    ]
    assert len(kept) < len(lines)
    results.write_text("".join(kept))
    words = Page(render_report(folder).read_text(encoding="utf-8")).words
    for phrase in (
        "sep-emb, en-fr, seed 1: the run's folder",
        "sep-emb, en-fr, seed 1: no scores in results.csv.",
        "sep-emb cannot be told no scores",
        "no-anchors, en-fr, seed 1: training log (log.jsonl).",
        "no-anchors, en-fr, seed 1: estimate made before training (preflight.json).",
        "no-anchors, en-fr, seed 1: no scores of an untrained encoder to compare with.",
        "no-anchors cannot be told no untrained encoder",
        "default shared layer",
        "Every model was trained once (seed 1)",
    ):
        assert phrase in words


def test_weights_on_the_way_are_missed_where_there_was_a_way(
    make_study: Callable[..., Path],
) -> None:
    folder = make_study(variants=("default", "no-anchors"))
    for variant, training in (
        ("default", {"steps": 4000, "snapshots": 8}),
        ("no-anchors", {"steps": 0, "snapshots": 8}),
    ):
        record = folder / f"runs/en-fr/{variant}/seed-1/artefact.json"
        content = json.loads(record.read_text())
        content["config"]["pretraining"] = training
        record.write_text(json.dumps(content))
    words = Page(render_report(folder).read_text(encoding="utf-8")).words
    assert "default, en-fr, seed 1: no scores of the snapshots of its weights." in words
    assert "no-anchors, en-fr, seed 1: no scores of the snapshots" not in words


def test_a_study_without_any_result_still_renders(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text('{"name": "empty"}')
    (tmp_path / "results.csv").write_text(
        "study,variant,pair,seed,probe,dataset,language,layer,metric,value\n"
    )
    words = Page(render_report(tmp_path).read_text(encoding="utf-8")).words
    assert "There is nothing to draw" in words
    assert "The study names no runs" in words


def test_an_earlier_page_survives_an_error(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    (folder / "report.html").write_text("earlier")
    (folder / "results.csv").unlink()
    with pytest.raises(XlingError, match=r"results\.csv"):
        render_report(folder)
    assert (folder / "report.html").read_text() == "earlier"
