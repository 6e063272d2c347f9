"""YAML as PyYAML reads it, less what hides or hurts."""

import random
import re
from pathlib import Path

import pytest
import yaml

from xling.errors import XlingError
from xling.files import read_yaml
from xling.yaml_reader import MOST_BYTES, parse_yaml

FILE = Path("some.yaml")


def fault(text: "str | bytes") -> str:
    with pytest.raises(XlingError) as caught:
        parse_yaml(text.encode() if isinstance(text, str) else text, FILE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


ORDINARY = [
    "a: 1\nb: [x, 2.5, no, null, 2024-01-01]\nc: {d: {e: 'f'}}\n",
    "base: &base {size: 1, kind: x}\nother: {<<: *base, size: 2}\nagain: [*base, *base]\n",
    "a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *a, <<: *b}\ne: &e\n  <<: *a\n"
    "f:\n  <<: *e\n  x: 4\n",
    "# only a comment\n",
    "---\na: 1\n...\n",
    "2: x\n'2': y\ntrue: z\n",
    "? x\n: |\n  text\n  of lines\n",
    "\ufeffa: 1\n",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_documents_read_as_ever(text):
    assert parse_yaml(text.encode(), FILE) == yaml.safe_load(text)


def test_the_projects_own_files_read_as_ever():
    root = Path(__file__).parents[1]
    files = [*root.glob("studies/**/*.yaml"), *root.glob("src/**/*.yaml")]
    assert len(files) > 10
    for path in files:
        assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_random_documents_read_as_ever_and_with_a_key_twice_not_at_all():
    draw = random.Random(1)

    def value(depth):
        kind = draw.choice(["text", "number", "map", "list"]) if depth < 4 else "text"
        if kind == "map":
            return {f"k{number}": value(depth + 1) for number in range(draw.randint(1, 4))}
        if kind == "list":
            return [value(depth + 1) for _ in range(draw.randint(0, 3))]
        return draw.choice(["x", "no", "007", 7, 0.5, None, True])

    for _ in range(30):
        content = {"first": value(0)}
        text = yaml.safe_dump(content, default_flow_style=False)
        assert parse_yaml(text.encode(), FILE) == content
        inner = "\n".join(f"  {line}" for line in text.splitlines())
        assert "the key first stands twice" in fault(f"- a\n-\n{inner}\n  'first': 2\n")


def test_a_key_twice_is_said_with_both_lines():
    said = fault("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n")
    assert "some.yaml:5: the key c stands twice, in line 3 and in line 5" in said
    assert "some.yaml:6: the key a stands twice, in line 1 and in line 6" in said
    assert said.index(":5:") < said.index(":6:")


@pytest.mark.parametrize(
    "text",
    ["{a: 1, a: 2}", "no: 1\nfalse: 2", "0x1: a\n1: b", "x: &x {b: 1}\ny: {<<: *x, c: 1, c: 2}"],
)
def test_keys_are_the_same_that_mean_the_same(text):
    assert "stands twice" in fault(text)


def bomb(inner: str, outer: str) -> str:
    lines = [f"a0: &a0 {inner}"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} " + outer.format(", ".join([f"*a{level - 1}"] * 9)))
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb("[x, x]", "[{}]"),
        bomb("{x: 1}", "{{<<: [{}]}}"),
        bomb("{x: 1}", "[[{}]]"),
        f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 20)}]",
    ],
)
def test_aliases_are_bounded(text):
    assert "aliases repeat more than 1,000,000" in fault(text)


def test_much_without_aliases_is_no_bomb():
    text = "a: &a x\nb: [" + ", ".join(["*a", "abcdefgh"] * 2000) + "]\n"
    assert len(parse_yaml(text.encode(), FILE)["b"]) == 4000


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 3000 + "]" * 3000,
        "".join(" " * depth + "a:\n" for depth in range(400)),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 400)),
    ],
)
def test_depth_is_bounded(text):
    assert "nested in more than 100 levels" in fault(text)


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a {b: *a}", "a: &a {<<: *a, b: 1}"])
def test_what_holds_itself_is_refused(text):
    assert "line 1" in (said := fault(text))
    assert "an anchor that holds itself" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n", "line 2, column 1: expected a single document"),
        ("a:\n\tb: 1\n", "line 2, column 1: .*indent with blanks"),
        ("a: 1\nb: 2024-13-01\n", "line 2: month must be"),
        ("a: 0x_\n", "line 1: invalid literal"),
        (f"a: 0x{'f' * 5000}\n", "line 1: too large a number"),
        (f"a: {'9' * 5000}\n", "line 1: Exceeds the limit"),
        ("a: !!python/name:os.system x\n", "line 1"),
        (b"a: 1\nb: caf\xe9\n", "line 2: not UTF-8"),
        ("a: '\x07'\n", "unacceptable character"),
        ("a: *b\n", "undefined alias"),
        ("? [a]\n: b\n", "unhashable key"),
    ],
)
def test_other_faults_are_one_line(text, said):

    assert re.search(
        f"some.yaml: not valid YAML: .*{said}|some.yaml: not valid YAML: {said}", fault(text)
    )


def test_a_file_without_end_is_refused():
    assert "more than 8 MB" in fault(b"a" * (MOST_BYTES + 1))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(XlingError, match="is a folder, expected a regular file"):
        read_yaml(tmp_path)
