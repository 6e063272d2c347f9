"""What verbs print where no terminal is: nothing but lines of their own."""

import re

import pytest

pytestmark = pytest.mark.slow

VERBS = [
    *("data conlang", "data derive", "vocabulary", "tokens", "pretrain", "probe", "transfer"),
    *("similarity", "align words", "align sentences", "align context", "align export"),
]
# Bars of libraries, and warnings as Python and libraries write them.
FOREIGN = re.compile(r"\d%|it/s|\r|\w+Warning|Loading weights|^\s|\[W|Traceback|\.py:\d")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_prints_only_lines_of_its_own(verb, tiny, zygote, command, tmp_path):
    ended = zygote.run(tmp_path, command(verb, tiny, "out"))
    assert ended.status == 0, ended.said
    lines = ended.said.splitlines()
    assert len(lines) < 20
    foreign = [line for line in lines if FOREIGN.search(line) and not line.startswith("warning: ")]
    assert not foreign
    for line in lines:
        if re.match(r"(?i)\W*warn", line):
            assert line.startswith("warning: "), line
