"""``xling data card``: what a data folder holds, where it comes from and what was done to it.

It is one self-contained page, and one table. Every file is read once; 8 bytes are kept for each
of its distinct lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xling.csv_tables import write_table
from xling.data.check import check
from xling.data.findings import Check, Row, named_shares
from xling.data.layout import TASK_ENDINGS, DataFolder
from xling.data.lines import Problem
from xling.data.overlap import DistinctLines, Keys
from xling.data.provenance import LISTED, Provenance, Record
from xling.errors import XlingError, need_extra
from xling.files import atomic_file, refuse_unwritable
from xling.report.charts import COLOURS, chart_config
from xling.report.tables import Cell, Table
from xling.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

_SAMPLED = 2_000  # lines of a file, whose tokens are counted
_SHOWN = 3
_LONGEST_SHOWN = 200
_STEPS_IN_DOUBLING = 2  # bins of lengths
_LONGEST = 1 << 15  # characters; longer lines count as this long
_MOST_COLOURS = len(COLOURS) - 1
_MOST_PAIRS = 20_000
_WIDTH, _HEIGHT = 280, 160
Counts = NDArray[np.int64]


@dataclass
class FileProfile:
    """What is kept of one file's lines.

    Attributes:
        lengths: How many lines have each number of characters; the last for all that have more.
        distinct: Its distinct lines.
        sample: Lines drawn by their hashes, so that equal content gives equal samples.
    """

    lengths: Counts = field(default_factory=lambda: np.zeros(_LONGEST + 1, dtype=np.int64))
    distinct: DistinctLines = field(default_factory=DistinctLines)
    sample: dict[int, str] = field(default_factory=dict)

    def add(self, lines: Sequence[str], keys: Keys) -> None:
        """Look at further lines and their hashes."""
        self.lengths += lengths_of([len(line) for line in lines])
        self.distinct.add(keys)
        greatest = max(self.sample) if len(self.sample) >= _SAMPLED else None
        below = np.arange(len(keys)) if greatest is None else np.flatnonzero(keys < greatest)
        for place in below.tolist():
            if lines[place].strip():
                self.sample[int(keys[place])] = lines[place]
        if len(self.sample) > _SAMPLED:
            self.sample = {key: self.sample[key] for key in sorted(self.sample)[:_SAMPLED]}

    def lines(self) -> list[str]:
        """Return the sample, in an order that does not depend on the file's."""
        return [self.sample[key] for key in sorted(self.sample)]


Place = tuple[str, str, str]
"""Part, name (domain, parallel set or split) and language of a file."""


def lengths_of(lengths: Sequence[int]) -> Counts:
    """Count how often each length occurs, from 0 to `_LONGEST`."""
    return np.bincount(
        np.minimum(np.array(lengths, dtype=np.int64), _LONGEST), minlength=_LONGEST + 1
    )


def binned(counts: Counts) -> Counts:
    """Add up counts of lengths from 1 in bins, two for each doubling of the length."""
    places = np.floor(np.log2(np.arange(1, len(counts))) * _STEPS_IN_DOUBLING + 1e-9)
    found = np.bincount(places.astype(np.int64), weights=counts[1:])
    return found.astype(np.int64)


def median(counts: Counts) -> int:
    """Return the lower median of lengths that were counted."""
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))


def write_card(data: DataFolder, out: Path, vocabulary: Path | None = None) -> tuple[Path, Path]:
    """Write the page and, beside it with the ending ``.csv``, the table of a data folder.

    Args:
        data: The folder.
        out: The page to write.
        vocabulary: A vocabulary whose tokens are to be counted.

    Returns:
        The paths of the page and of the table.

    Raises:
        XlingError: The folder or the vocabulary cannot be read, or the extra is missing.
    """
    need_extra("report", "xling data card")
    if out.suffix not in (".html", ".htm"):
        raise XlingError(f"{out}: the page's name must end in .html, such as {out.stem}.html")
    if out.is_dir():
        raise XlingError(f"{out}: is a folder; name a file to write the page to")
    table = out.with_suffix(".csv")
    refuse_unwritable(out)
    learned = Vocabulary.load(vocabulary) if vocabulary else None
    profiles: dict[Place, FileProfile] = {}

    def look(part: str, name: str, language: str, lines: list[str], keys: Keys) -> None:
        profiles.setdefault((part, name, language), FileProfile()).add(lines, keys)

    found = check(data, look)
    tokens = _tokens(profiles, learned) if learned else {}
    frame = card_table(data, found, tokens)
    with atomic_file(table) as file:
        write_table(frame, file)
    with atomic_file(out) as file:
        file.write(_page(data, found, profiles, tokens))
    return out, table


def card_table(
    data: DataFolder, found: Check, tokens: Mapping[Place, NDArray[np.int64]]
) -> "pd.DataFrame":
    """Return one row for each file of a data folder.

    Args:
        data: The folder.
        found: What was counted in it.
        tokens: For some files, the tokens of each line of a sample.
    """
    import pandas as pd

    known = Provenance.read(data.root)
    rows = []
    for row in found.rows:
        record = known.of(record_place(row))
        place = (row.part, row.name, row.language)
        counted = tokens.get(place)
        rows.append(
            {
                **{"part": row.part, "name": row.name, "language": row.language},
                **{"lines": row.lines, "words": row.words, "characters": row.characters},
                "scripts": named_shares(row.scripts),
                "duplicates": row.duplicates,
                "tokens_per_line": float(counted.mean()) if counted is not None else None,
                **{"source": record.source, "licence": record.licence},
                "revision": record.revision,
                "steps": "; ".join(_step_names(record)),
            }
        )
    return pd.DataFrame(rows)


def record_place(row: Row) -> str:
    """Return the place in data.yaml under which a file is recorded."""
    if row.part == "dictionaries":
        return f"dictionaries/{row.language}.{row.name}"
    if row.part in TASK_ENDINGS:
        return f"{row.part}/{row.language}/{row.name}"
    return f"{row.part}/{row.name}/{row.language}"


def _step_names(record: Record) -> list[str]:
    return [" ".join(filter(None, (s.step, s.library, s.version))) for s in record.steps]


@dataclass(frozen=True)
class Shared:
    """Lines that two files have in common.

    Attributes:
        one: The first file.
        other: The second.
        lines: Distinct lines in both.
        of_one: Distinct lines of the first.
        of_other: Distinct lines of the second.
    """

    one: Place
    other: Place
    lines: int
    of_one: int
    of_other: int


def shared_lines(profiles: Mapping[Place, FileProfile], kind: str) -> list[Shared]:
    """Compare files with each other, spaces apart; return those that share lines.

    Args:
        profiles: Profile of each file.
        kind: ``"splits"``: a task's splits in one language; ``"languages"``: the same file of two
            languages; ``"text"``: a language's text with its other parts.
    """
    found = []
    places = sorted(profiles, key=lambda place: place[0] != "text")
    for one, other in combinations(places, 2):
        same_name, same_language = one[1] == other[1], one[2] == other[2]
        tasks = one[0] == other[0] and one[0] not in ("text", "parallel")
        wanted = {
            "splits": tasks and same_language,
            "languages": one[0] == other[0] and same_name and one[0] != "dictionaries",
            "text": same_language and one[0] == "text",
        }[kind]
        if not wanted:
            continue
        a, b = profiles[one].distinct, profiles[other].distinct
        if lines := a.common(b):
            found.append(Shared(one, other, lines, a.count(), b.count()))
        if len(found) >= _MOST_PAIRS:
            break
    return found


def _tokens(
    profiles: Mapping[Place, FileProfile], vocabulary: Vocabulary
) -> dict[Place, NDArray[np.int64]]:
    """Count the tokens of the sampled lines of each file in a language of the vocabulary."""
    found = {}
    for place, profile in profiles.items():
        if place[2] in vocabulary.sizes and (lines := profile.lines()):
            tokenizer = vocabulary.tokenizer(place[2])
            coded = tokenizer.encode_batch(lines, add_special_tokens=False)
            found[place] = np.array([len(line.ids) for line in coded], dtype=np.int64)
    return found


def _page(
    data: DataFolder,
    found: Check,
    profiles: Mapping[Place, FileProfile],
    tokens: Mapping[Place, NDArray[np.int64]],
) -> str:
    from markupsafe import Markup

    from xling.report.html import package_text, template_environment

    known = Provenance.read(data.root)
    environment = template_environment()
    order = [(row.part, row.name, row.language) for row in found.rows]
    lengths = {place: profiles[place].lengths for place in order if place in profiles}
    pieces = {place: lengths_of(tokens[place].tolist()) for place in order if place in tokens}
    overlaps = [
        _overlap_table(shared_lines(profiles, kind), caption)
        for kind, caption in (
            ("splits", "Lines that two splits of a task share"),
            ("text", "Lines of text that are also elsewhere in the folder"),
            ("languages", "Lines that are the same in two languages"),
        )
    ]
    return environment.get_template("data_card.html.j2").render(
        title=data.root.resolve().name,
        languages=data.languages,
        whole=sum(row.lines for row in found.rows),
        sizes=_sizes(found, tokens),
        origins=_origins(found, known) if known.records else None,
        steps=_steps(known),
        overlaps=[table for table in overlaps if table.rows],
        lengths=_drawings(lengths, "characters in a line", data.languages),
        tokens=_drawings(pieces, "tokens in a line", data.languages),
        samples=_samples(profiles),
        warnings=[_finding(found, problem) for problem in found.warnings],
        problems=[_finding(found, problem) for problem in found.problems],
        style=Markup(package_text("style.css")),
        listed=LISTED,
    )


def _finding(found: Check, problem: Problem) -> str:
    if problem.path != found.root and problem.path.is_relative_to(found.root):
        problem = problem._replace(path=problem.path.relative_to(found.root))
    return str(problem)


def _number(value: int) -> Cell:
    return Cell(f"{value:,}", "number")


def _sizes(found: Check, tokens: Mapping[Place, NDArray[np.int64]]) -> Table:
    columns = ["part", "name", "language", "lines", "words", "characters", "repeated lines"]
    rows = []
    for row in found.rows:
        cells = [
            *map(Cell, (row.part, row.name, row.language)),
            *map(_number, (row.lines, row.words, row.characters, row.duplicates)),
        ]
        if tokens:
            counted = tokens.get((row.part, row.name, row.language))
            cells.append(Cell("" if counted is None else f"{counted.mean():.1f}", "number"))
        rows.append((*cells, Cell(named_shares(row.scripts))))
    heads = (*columns, *(["tokens per line"] if tokens else []), "scripts")
    note = (
        "Words are what stands between spaces, in ner and ud tokens. A repeated line is the "
        "same as an earlier line of its file, ignoring spaces."
    )
    return Table("Files of the folder", heads, 3, tuple(rows), note=note)


def _origins(found: Check, known: Provenance) -> Table:
    rows = []
    for row in found.rows:
        record = known.of(record_place(row))
        names = [Cell(text) for text in (row.part, row.name, row.language)]
        values = (record.source, record.licence, record.revision, " → ".join(_step_names(record)))
        rows.append((*names, *(Cell(value or "not recorded") for value in values)))
    heads = ("part", "name", "language", "source", "licence", "revision", "steps")
    return Table("Where each file comes from", heads, 3, tuple(rows))


@dataclass(frozen=True)
class StepShown:
    """A step of preparation: what it was, its settings and what it counted, as short lines."""

    title: str
    lines: tuple[str, ...]


def _steps(known: Provenance) -> dict[str, list[StepShown]]:
    """Return each place's files and steps, in words."""
    found: dict[str, list[StepShown]] = {}
    for place, record in known.records.items():
        shown = []
        if record.files:
            files = [f"{f.name}: {f.bytes:,} bytes, SHA-256 {f.sha256}" for f in record.files]
            shown.append(StepShown("read", tuple(files)))
        for step, title in zip(record.steps, _step_names(record), strict=True):
            shown.append(StepShown(title, (*_flat(step.settings), *_flat(step.counts))))
        if shown:
            found[place] = shown
    return found


def _flat(values: Mapping[str, object], above: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            lines += _flat(value, f"{name}, ")
        elif isinstance(value, list | tuple):
            lines.append(f"{name}: {', '.join(map(str, value))}")
        else:
            lines.append(f"{name}: {value:,}" if type(value) is int else f"{name}: {value}")
    return lines


def _overlap_table(shared: Sequence[Shared], caption: str) -> Table:
    rows = tuple(
        (
            Cell("/".join(pair.one)),
            Cell("/".join(pair.other)),
            _number(pair.lines),
            Cell(f"{100 * pair.lines / max(1, pair.of_one):.1f} %", "number"),
            Cell(f"{100 * pair.lines / max(1, pair.of_other):.1f} %", "number"),
        )
        for pair in sorted(shared, key=lambda pair: -pair.lines / max(1, pair.of_one))
    )
    heads = ("one", "other", "lines", "of the first", "of the second")
    return Table(caption, heads, 2, rows)


@dataclass(frozen=True)
class Drawing:
    """A picture as SVG, what it is of, and what it shows in words."""

    title: str
    svg: object
    description: str


def _drawings(
    lengths: Mapping[Place, Counts], unit: str, languages: Sequence[str]
) -> list[Drawing]:
    """Draw the distributions of each part and name, with a line for each language."""
    groups: dict[tuple[str, str], dict[str, Counts]] = {}
    for (part, name, language), counts in lengths.items():
        if counts[1:].sum():
            groups.setdefault((part, name), {})[language] = counts
    names = list(dict.fromkeys([*languages, *(place[2] for place in lengths)]))
    colours = {name: COLOURS[place % _MOST_COLOURS] for place, name in enumerate(names)}
    return [_drawing(f"{part}, {name}", of, unit, colours) for (part, name), of in groups.items()]


def _drawing(
    title: str, lengths: Mapping[str, Counts], unit: str, colours: Mapping[str, str]
) -> Drawing:
    from markupsafe import Markup

    # If languages have the same colour, the one with most lines is drawn.
    most: dict[str, str] = {}
    for language in sorted(lengths, key=lambda language: -int(lengths[language].sum())):
        most.setdefault(colours[language], language)
    kept = {name: counts for name, counts in lengths.items() if name in most.values()}
    said = ", ".join(f"{language} {median(counts):,}" for language, counts in kept.items())
    left = len(lengths) - len(kept)
    more = f" ({left} further languages are not drawn)" if left else ""
    svg = _svg(kept, unit, [colours[language] for language in kept])
    return Drawing(title, Markup(svg), f"Median of {unit}: {said}{more}.")


def _svg(lengths: Mapping[str, Counts], unit: str, colours: list[str]) -> str:
    import altair as alt
    import pandas as pd
    import vl_convert

    bins = {language: binned(counts) for language, counts in lengths.items()}
    used = np.flatnonzero(np.sum(list(bins.values()), axis=0))
    first, last = max(0, int(used[0]) - 1), int(used[-1]) + 1
    rows = [
        {
            "length": 2 ** ((place + 0.5) / _STEPS_IN_DOUBLING),
            "share": counts[place] / counts.sum() if place < len(counts) else 0.0,
            "language": language,
        }
        for language, counts in bins.items()
        for place in range(first, last + 1)
    ]
    powers = [
        2**power for power in range(first // _STEPS_IN_DOUBLING, last // _STEPS_IN_DOUBLING + 1)
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(interpolate="monotone", strokeWidth=2)
        .encode(
            x=alt.X(
                "length:Q",
                title=unit,
                scale=alt.Scale(type="log", base=2, nice=False),
                axis=alt.Axis(values=powers),
            ),
            y=alt.Y("share:Q", title=None, axis=alt.Axis(format=".0%")),
            color=alt.Color(
                "language:N",
                scale=alt.Scale(domain=list(bins), range=colours),
                legend=alt.Legend(title=None, orient="bottom", columns=4, symbolOpacity=1),
            ),
        )
        .properties(width=_WIDTH, height=_HEIGHT)
    )
    spec = {**chart.to_dict(), "config": chart_config()}
    return str(vl_convert.vegalite_to_svg(spec))


def _samples(profiles: Mapping[Place, FileProfile]) -> dict[str, list[str]]:
    """Return some lines of each file, cut if they are long."""
    return {
        "/".join(place): [
            line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]} …"
            for line in profile.lines()[:_SHOWN]
        ]
        for place, profile in profiles.items()
    }
