"""Tables of runs: what was built, on what text, at what cost. What is not known is a dash."""

from collections.abc import Sequence

from xling import formatting
from xling.report.load import Run, Study
from xling.report.tables import ABSENT, NAMES, Cell, Table, figure, merge_seeds, number

_SHARED = "several"
_PRECISION_NOTE = (
    "Not all models were trained in one precision, as happens on machines of several kinds, so a "
    "small difference between them may come from that. `pretraining.precision` sets one for all."
)
_COST_NOTE = (
    "Times are from a job's start to its end, summed over jobs that ran side by side, so you waited"
    " less. Jobs that several variants share, such as data and vocabularies, are counted once."
)


def model_table(runs: Sequence[Run], config: dict[str, object]) -> Table:
    """What was built: shape, vocabulary, what is separate, parameters."""
    rows = []
    for run in runs:
        trained = _object(_object(run.artefact).get("config"))
        vocabulary = _object(_object(run.vocabulary).get("vocabulary"))
        counts = _object(_object(run.preflight).get("parameters"))
        separate = ", ".join(str(part) for part in _list(trained.get("separate")))
        size = number(vocabulary.get("size"), formatting.count)
        rows.append(
            (
                *_names(run),
                Cell(_shape(trained) or _shape(config) or ABSENT),
                Cell(f"{size} {vocabulary.get('kind', '')}".strip(), "number"),
                Cell(separate or ("nothing" if "separate" in trained else ABSENT)),
                figure(counts.get("total"), formatting.large),
                figure(counts.get("shared"), formatting.large),
            )
        )
    columns = ("model", "vocabulary", "separate", "parameters", "of them shared")
    return Table("Models", (*NAMES, *columns), 3, merge_seeds(rows))


def training_table(runs: Sequence[Run]) -> Table:
    """What training took; what is not known shows as a dash."""
    rows, precisions = [], set[str]()
    for run in runs:
        preflight = _object(run.preflight)
        train = run.log[run.log["kind"].eq("train")]
        # Every language seen since the last record repeats the time since that record.
        seconds = train.drop_duplicates("step")["seconds"].sum(min_count=1)
        precision = preflight.get("precision")
        if isinstance(precision, str):
            precisions.add(precision)
        rows.append(
            (
                *_names(run),
                figure(train["step"].max(), formatting.count),
                figure(preflight.get("tokens_total"), formatting.large),
                figure(preflight.get("flops_total"), "{:.2e}"),
                figure(preflight.get("memory_bytes"), formatting.memory),
                figure(seconds, formatting.duration),
                figure(train["tokens_per_second"].median(), formatting.count),
                figure(train["mfu"].median(), "{:.0%}"),
                Cell(precision if isinstance(precision, str) else ABSENT),
            )
        )
    columns = ("steps", "tokens planned", "FLOPs planned", "memory, estimated", "time")
    return Table(
        "Training",
        (*NAMES, *columns, "tokens/s", "MFU", "precision"),
        3,
        tuple(rows),
        note=_PRECISION_NOTE if len(precisions) > 1 else "",
    )


def language_table(runs: Sequence[Run]) -> Table:
    """Text and tokens per language: sizes, share of batches, tokens per word, dev perplexity."""
    rows = []
    for run in runs:
        texts = _object(_object(run.preflight).get("languages"))
        vocabulary = _object(_object(run.vocabulary).get("languages"))
        premium = _list(_object(run.vocabulary).get("premium"))
        dev = run.log[run.log["kind"].eq("dev")]
        for language in run.languages:
            text, units = _object(texts.get(language)), _object(vocabulary.get(language))
            perplexity = dev.loc[dev["language"].eq(language), "perplexity"]
            rows.append(
                (
                    *_names(run),
                    Cell(language),
                    figure(units.get("words"), formatting.count),
                    figure(text.get("train_tokens"), formatting.count),
                    figure(text.get("passes"), "{:.1f}"),
                    figure(text.get("share_of_batches"), "{:.1%}"),
                    figure(units.get("tokens a word"), "{:.2f}"),
                    figure(_premium(premium, language), "{:.2f}"),
                    figure(units.get("share of unknowns"), "{:.3%}"),
                    figure(perplexity.min(), "{:,.1f}"),
                )
            )
    columns = (
        *NAMES,
        "language",
        "words",
        "training tokens",
        "passes over them",
        "share of batches",
        "tokens per word",
        "premium",
        "unknown",
        "best dev perplexity",
    )
    return Table("Languages", columns, 4, merge_seeds(rows))


def _premium(sets: Sequence[object], language: str) -> float | None:
    """Return a language's tokens for the same text relative to the base's, over all sets."""
    counts = [_object(_object(of).get("tokens")) for of in sets]
    own = [count.get(language) for count in counts]
    base = [next(iter(count.values()), None) for count in counts]
    numbers = [number for number in (*own, *base) if isinstance(number, int)]
    if not counts or len(numbers) < len(own) + len(base) or not sum(numbers[len(own) :]):
        return None
    return sum(numbers[: len(own)]) / sum(numbers[len(own) :])


def anchor_table(runs: Sequence[Run]) -> Table:
    """Tokens that two languages have in common: how many, and their share of running text."""
    rows = []
    for run in runs:
        for record in run.anchors:
            languages = [str(language) for language in _list(record.get("languages"))]
            kinds = {"all": record, **_object(record.get("kinds"))}
            for kind, found in kinds.items():
                entry = _object(found)
                shares = _object(entry.get("share of running tokens"))
                rows.append(
                    (
                        *_names(run),
                        Cell(formatting.listing(languages) or ABSENT),
                        Cell(kind),
                        figure(entry.get("tokens"), formatting.count),
                        Cell(
                            ", ".join(
                                f"{name} {number(share, '{:.1%}')}"
                                for name, share in shares.items()
                            )
                            or ABSENT,
                            "number",
                        ),
                        figure(entry.get("overlap"), "{:.1%}"),
                    )
                )
    columns = (*NAMES, "languages", "kind", "tokens", "share of running tokens", "overlap")
    return Table("Anchors: tokens that two languages share", columns, 5, merge_seeds(rows))


def common_anchor_table(runs: Sequence[Run]) -> Table:
    """The anchors that cover most of both languages' text, by what they are."""
    rows = []
    for run in runs:
        for record in run.anchors:
            by_kind: dict[str, list[str]] = {}
            for entry in map(_object, _list(record.get("commonest"))):
                by_kind.setdefault(str(entry.get("kind", "")), []).append(
                    str(entry.get("token", ""))
                )
            rows += [
                (*_names(run), Cell(kind or ABSENT), Cell("  ".join(tokens), "tokens"))
                for kind, tokens in by_kind.items()
            ]
    return Table("Commonest anchors", (*NAMES, "kind", "tokens"), 4, merge_seeds(rows))


def _names(run: Run) -> tuple[Cell, Cell, Cell]:
    return Cell(run.variant), Cell(run.pair), Cell(str(run.seed))


def _shape(value: object) -> str:
    """Find a model's shape anywhere in a configuration."""
    if isinstance(value, dict):
        if "layers" in value and "hidden" in value:
            return f"{value['layers']} layers × {value['hidden']}"
        return next(filter(None, map(_shape, value.values())), "")
    return ""


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def cost_table(study: Study) -> Table | None:
    """Return the time of jobs per stage and variant, and in all; None if none is known."""
    stages: dict[str, dict[str, list[float | None]]] = {}
    for stage, variant, job in _jobs(study):
        stages.setdefault(stage, {}).setdefault(variant, []).append(study.seconds.get(job))
    rows = [
        _cost_row(stage, variant, times)
        for stage, variants in stages.items()
        for variant, times in variants.items()
    ]
    every = [time for variants in stages.values() for times in variants.values() for time in times]
    if not any(time is not None for time in every):
        return None
    columns = ("stage", "variant", "jobs", "time of jobs")
    return Table("Costs", columns, 2, (*rows, _cost_row("total", "", every)), note=_COST_NOTE)


def _cost_row(stage: str, variant: str, times: Sequence[float | None]) -> tuple[Cell, ...]:
    known = [time for time in times if time is not None]
    missing = len(times) - len(known)
    notes = (f"{missing} of {len(times)} without a record",) if known and missing else ()
    time = formatting.duration(sum(known)) if known else ABSENT
    jobs = figure(len(times), formatting.count)
    return Cell(stage), Cell(variant), jobs, Cell(time, "number", notes)


def _jobs(study: Study) -> list[tuple[str, str, str]]:
    """Return (stage, variant, job) of every planned job."""
    variants: dict[str, set[str]] = {}
    for run in study.runs:
        queue = list(run.scores)
        while queue:
            name = queue.pop()
            variants.setdefault(name, set()).add(run.variant)
            queue += study.jobs.get(name, {}).get("parents", {}).values()
    found = []
    for name, job in study.jobs.items():
        of = variants.get(name, set())
        found.append((job["stage"], next(iter(of)) if len(of) == 1 else _SHARED, name))
    return found
