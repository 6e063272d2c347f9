"""Parallel files in another order or language, swapped columns: warned of, with figures."""

import shutil

import numpy as np
import pytest

from xling.data.check import check

VOWELS = {"aa": "ae", "bb": "ou", "cc": "iy"}


def words_of(language: str, count: int = 400) -> list[str]:
    """Words that two languages do not share, the i-th of each meaning the same."""
    random = np.random.default_rng(len(language) + ord(language[0]))
    found: dict[str, None] = {}
    while len(found) < count:
        size = random.integers(1, 4)
        pairs = zip(
            random.choice(list("bdfgklmnprst"), size),
            random.choice(list(VOWELS[language]), size),
            strict=True,
        )
        found["".join(a + b for a, b in pairs)] = None
    return list(found)


def meanings(count: int, seed: int) -> list[list[int]]:
    """Sentences as numbers of words, frequent ones small, of 2 to 25 words."""
    random = np.random.default_rng(seed)
    return [
        np.minimum(random.zipf(1.4, size=random.integers(2, 26)) - 1, 399).tolist()
        for _ in range(count)
    ]


def lines(language: str, seed: int, count: int = 300) -> list[str]:
    words = words_of(language)
    return [" ".join(words[i] for i in meaning) for meaning in meanings(count, seed)]


@pytest.fixture
def folder(tmp_path, write):
    for number, language in enumerate(VOWELS):
        write(f"text/wiki/{language}.txt", "\n".join(lines(language, 10 + number)) + "\n")
        write(f"parallel/talks/{language}.txt", "\n".join(lines(language, 1)) + "\n")
    entries = zip(words_of("aa")[:60], words_of("bb")[:60], strict=True)
    write("dictionaries/aa-bb.train.tsv", "".join(f"{a}\t{b}\n" for a, b in entries))
    return tmp_path


def mixed_up(root) -> list[str]:
    signs = ("correlate", "exchanged", "swapped")
    found = [str(warning) for warning in check(root).warnings]
    return [text for text in found if any(sign in text for sign in signs)]


def change(root, how, language="bb"):
    path = root / f"parallel/talks/{language}.txt"
    path.write_text("\n".join(how(path.read_text().splitlines())) + "\n")


def test_a_good_folder_says_nothing(folder):
    assert mixed_up(folder) == []


def test_reversed_lines(folder):
    change(folder, lambda found: found[::-1])
    (text,) = mixed_up(folder)
    assert "talks/bb.txt: lengths of its lines" in text
    assert "in reversed order by 0.9" in text


@pytest.mark.parametrize(("shift", "said"), [(1, "1 earlier"), (-2, "2 later")])
def test_shifted_lines(folder, shift, said):
    change(folder, lambda found: found[shift:] + found[:shift])
    (text,) = mixed_up(folder)
    assert "talks/bb.txt, line 1: from about here" in text
    assert f"with those {said} by 0.9" in text


def test_lines_shifted_from_the_middle_on(folder):
    change(folder, lambda found: [*found[:200], "go na", *found[200:-1]])
    (text,) = mixed_up(folder)
    assert "talks/bb.txt, line 201: from about here" in text
    assert "1 later" in text


def test_a_short_set_shifted_from_the_middle_on(folder, write):
    for language in VOWELS:
        found = lines(language, 3, 120)
        if language == "bb":
            found = [*found[:50], "go na", *found[50:-1]]
        write(f"parallel/short/{language}.txt", "\n".join(found) + "\n")
    (text,) = mixed_up(folder)
    assert "short/bb.txt, line 61: from about here" in text


def test_lines_of_another_text(folder):
    change(folder, lambda found: lines("bb", 77))
    (text,) = mixed_up(folder)
    assert "is it in the same order?" in text


def test_lines_of_another_text_in_the_base_are_told_once(folder):
    """The file that fits none is named, though it is the first."""
    change(folder, lambda found: found[::-1], "aa")
    (text,) = mixed_up(folder)
    assert "talks/aa.txt" in text


def test_files_of_two_languages_exchanged(folder):
    talks = folder / "parallel/talks"
    shutil.move(talks / "aa.txt", talks / "x")
    shutil.move(talks / "bb.txt", talks / "aa.txt")
    shutil.move(talks / "x", talks / "bb.txt")
    found = "\n".join(mixed_up(folder))
    assert "talks/aa.txt: " in found
    assert "most frequent of other files in bb, 0% among those in aa; are the files" in found
    assert "talks/bb.txt: " in found
    assert "cc" not in found


@pytest.mark.parametrize("count", [12, 60])
def test_columns_of_a_dictionary_swapped(folder, count):
    path = folder / "dictionaries/aa-bb.train.tsv"
    rows = [line.split("\t") for line in path.read_text().splitlines()[:count]]
    path.write_text("".join(f"{b}\t{a}\n" for a, b in rows))
    (text,) = mixed_up(folder)
    assert "aa-bb.train.tsv: " in text
    assert "occur in bb, 0% in aa" in text
    assert "are the columns swapped? The first is aa" in text


def test_short_sets_are_not_judged(folder, write):
    for language in VOWELS:
        write(
            f"parallel/few/{language}.txt", "\n".join(lines(language, ord(language[0]), 30)) + "\n"
        )
    assert mixed_up(folder) == []


@pytest.mark.slow
def test_real_text_is_not_suspected_and_is_when_mixed_up(real_data, tmp_path):
    for part in ("parallel/pud", "text/guide", "text/handbook", "dictionaries"):
        shutil.copytree(real_data / part, tmp_path / part)
    assert mixed_up(tmp_path) == []
    pud = tmp_path / "parallel/pud"
    a, b = sorted(pud.glob("fr.txt*"))[0], sorted(pud.glob("de.txt*"))[0]
    one, other = a.read_bytes(), b.read_bytes()
    a.write_bytes(other)
    b.write_bytes(one)
    assert sum("exchanged" in text for text in mixed_up(tmp_path)) == 2
