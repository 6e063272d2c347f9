"""What to do according to the scores, in sentences that quote them.

A layer or a step is chosen on every second line. Its gain is measured on the other lines, as a mean
over the languages, with a 95 % interval over lines.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xling import formatting
from xling.audit.measure import Measured
from xling.audit.scores import CENTRED, CSLS, NEAREST, PLAIN, POOLED, SUBSPACE, Floats
from xling.audit.vectors import Matrix, called
from xling.measures import bootstrap_interval, k_occurrence, outlier_dimensions, precision_at_1
from xling.names import pair_name
from xling.results import TRAINED, UNTRAINED, Score

INSIDE, EDGE, OUTSIDE = "inside", "at the edge", "outside"
ROOF, FLOOR = 0.9, 0.5  # bounds of p@1: "inside" is above the roof, "outside" below the floor
_NAMED = 12  # languages in one list
NOTICEABLE = 0.01  # smallest gain that justifies a step
_APART = 0.1  # reported difference in p@1 of pairs and one index, or of two directions
_STEPS = {
    CENTRED: "subtract the mean of each language",
    CSLS: "rank by CSLS after that, instead of by cosine",
    SUBSPACE: "remove the directions that tell languages apart",
}


@dataclass(frozen=True)
class Advice:
    """One thing to know or to do.

    Attributes:
        kind: What it is about, such as ``layer`` or ``rotation``.
        sentence: The text for the reader.
        model: The model it is about.
        layer: Name of the layer; empty if it is about none.
        language: The language; empty for all.
        gain: Gain in p@1 from following it; None if it is not a step.
        low: Lower end of the 95 % interval of the gain.
        high: Upper end.
        n: Number of lines that the gain was measured on.
    """

    kind: str
    sentence: str
    model: str = ""
    layer: str = ""
    language: str = ""
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class Gain(NamedTuple):
    """A mean difference of hits with its interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        ends = f"{100 * self.low:+.1f} to {100 * self.high:+.1f}"
        return f"{100 * self.value:+.1f} points ({ends}; {self.n} lines)"

    def of_advice(self) -> dict[str, Any]:
        """Return it as fields of :class:`Advice`."""
        return {"gain": self.value, "low": self.low, "high": self.high, "n": self.n}

    @classmethod
    def of(cls, differences: Floats) -> "Gain":
        """Return the mean difference of hits over lines [N], with its interval."""
        low, high = bootstrap_interval(differences, 0)
        return cls(float(differences.mean()), float(low), float(high), len(differences))

    @property
    def pays(self) -> bool:
        """Whether it is clearly above 0 and large enough to matter."""
        return self.low > 0 and self.value >= NOTICEABLE


def gain_of(new: Floats, old: Floats) -> Gain:
    """Return the gain of new hits over old ones of the same lines, on every second line.

    Args:
        new: Array [languages, N].
        old: Array [languages, N].
    """
    return Gain.of((new - old).mean(axis=0)[1::2])


def percent(share: float) -> str:
    """Write a share in percent; 100 % only if it is exactly 1."""
    shown = f"{100 * share:.1f}"
    if shown == "100.0" and share < 1:
        shown = "99.9"
    return f"{shown.removesuffix('.0')} %"


def standings(measured: Measured) -> dict[str, dict[str, Any]]:
    """Judge every language at the best layer for pairs.

    Returns:
        For each language its p@1 between pairs with its interval, that of the untrained model, its
        p@1 in one index at the best layer for that (None for two mapped models), and its standing:

        - ``inside`` if the lower ends of both are at least 0.9;
        - ``outside`` if between pairs the upper end is below 0.5 or the lower end is not above the
          untrained model, or if fewer than half of its lines are found in one index;
        - ``at the edge`` otherwise.
    """
    rows = {_of(score): score for score in (*measured.found.scores, *measured.others)}
    pooled = {
        (score.language, score.layer): score
        for score in measured.found.scores
        if (score.probe, score.metric, score.condition) == (POOLED, PLAIN, TRAINED)
    }
    result = {}
    for code in measured.languages[1:]:
        key = (_pair(measured, code), measured.best, measured.metric)
        score, twin = rows[(*key, TRAINED)], rows.get((*key, UNTRAINED))
        low, high = score.low or 0.0, score.high if score.high is not None else 1.0
        index = pooled.get((code, measured.best_pooled))
        below = index is not None and index.value < FLOOR
        if below or high < FLOOR or (twin is not None and low <= twin.value):
            standing = OUTSIDE
        else:
            # Where all lines are found the bootstrap interval has no width: use Clopper-Pearson.
            least = min(low, 0.025 ** (1 / (score.n or 1))) if score.value == 1 else low
            if index is not None and index.low is not None:
                least = min(least, index.low)
            standing = INSIDE if least >= ROOF else EDGE
        result[code] = {
            "value": score.value,
            "low": low,
            "high": high,
            "untrained": None if twin is None else twin.value,
            "one index": None if index is None else index.value,
            "standing": standing,
        }
    return result


def _of(score: Score) -> tuple[Any, ...]:
    plain = score.probe == "retrieval" and not score.direction and score.draw is None
    return (score.language, score.layer, score.metric if plain else "", score.condition)


def _pair(measured: Measured, code: str) -> str:
    return pair_name((measured.pivot, code))


def advise(measured: Measured) -> list[Advice]:
    """Return the advice from the scores of one model, the most important first."""
    found = [*_layers(measured), *_standing(measured)]
    if measured.comparable:
        found += [*_steps(measured), *_pooling(measured), *_dips(measured)]
    return [*found, *rotation_advice(measured)]


def _called(measured: Measured, layer: int) -> str:
    return called(measured.layers[layer])


def _advice(measured: Measured, kind: str, sentence: str, layer: int, **more: Any) -> Advice:
    sentence = sentence[0].upper() + sentence[1:]
    return Advice(kind, sentence, measured.subject.name, measured.layers[layer], **more)


def _layers(measured: Measured) -> Iterator[Advice]:
    pairs = measured.hits(measured.metric)
    by_layer = np.nanmean(pairs, axis=(0, 2))
    found = measured.found.hits.get((POOLED, PLAIN, ""))
    pooled = None if measured.best_pooled is None else found
    if pooled is not None:
        yield _headline(measured, by_layer, pooled.mean(axis=1))
    best = measured.best
    count, way = len(pairs), "" if measured.comparable else " after a rotation learnt on other ones"
    languages = "language" if count == 1 else "languages"
    means = pairs[:, best].mean(axis=1)
    least = int(means.argmin())
    worst = f", least {percent(float(means[least]))} in {measured.languages[1 + least]}"
    worst = worst if count > 1 else ""
    yield _advice(
        measured,
        "best-layer",
        f"From one language into another, {_called(measured, best)} is best: "
        f"{percent(float(by_layer[best]))} of the lines are nearest to their translation{way} "
        f"(mean of {count} {languages} with {measured.pivot}{worst}).",
        best,
    )
    if pooled is not None and measured.best_pooled is not None:
        at = measured.best_pooled
        yield _advice(
            measured,
            "one-index",
            f"In one index of {_all(measured)}, {_called(measured, at)} is "
            f"best: for {percent(float(pooled[at].mean()))} of the lines the nearest of all is a "
            "translation.",
            at,
        )
    yield from _instead(measured, "layer", "from one language into another", pairs, best)
    if pooled is not None and measured.best_pooled is not None:
        kind, where = "one-index-layer", "for one index"
        yield from _instead(measured, kind, where, pooled[None], measured.best_pooled)


def _headline(measured: Measured, by_layer: Floats, pooled: Floats) -> Advice:
    """Say how much retrieval between pairs and retrieval in one index differ."""
    count = len(measured.languages)
    apart = int(np.nanargmax(by_layer - pooled))
    here, there = percent(float(by_layer[apart])), percent(float(pooled[apart]))
    last = len(measured.layers) - 1
    if by_layer[apart] - pooled[apart] < _APART:
        sentence = (
            f"one index may hold these {count} languages wherever pairs are found: at no layer do "
            f"the two differ by more than {100 * (by_layer[apart] - pooled[apart]):.1f} points "
            f"({_called(measured, apart)}: {here} between pairs, {there} in one index)."
        )
    else:
        ends = percent(float(by_layer[last])), percent(float(pooled[last]))
        sentence = (
            f"pairs and one index are two questions: at {_called(measured, apart)} a line finds "
            f"its translation among another language's lines in {here} of cases, but among the "
            f"lines of {_all(measured)}, its own included, in {there}"
        )
        end = f"at {_called(measured, last)}, the last, it is {ends[0]} and {ends[1]}"
        sentence += "." if apart == last else f"; {end}."
    return _advice(measured, "headline", sentence, apart)


def _all(measured: Measured) -> str:
    count = len(measured.languages)
    return "both languages" if count == 2 else f"all {count} languages"


def _instead(
    measured: Measured, kind: str, where: str, hits: Floats, best: int
) -> Iterator[Advice]:
    """Say what the best layer gains over the last one, if they differ."""
    last = len(measured.layers) - 1
    if best == last:
        return
    gain = gain_of(hits[:, best], hits[:, last])
    what, other = _called(measured, best), _called(measured, last)
    sentence = (
        f"{where}, use {what} and not {other}: {gain} in p@1."
        if gain.pays
        else f"{where}, the last layer will do: {what} gains {gain} over {other}."
    )
    yield _advice(measured, kind, sentence, best, **gain.of_advice())


def _standing(measured: Measured) -> Iterator[Advice]:
    found = standings(measured)
    parts = []
    for standing in (INSIDE, EDGE, OUTSIDE):
        named = [
            f"{code} ({_shares(of)})" for code, of in found.items() if of["standing"] == standing
        ]
        if named:
            parts.append(f"{standing}: {_few(named)}")
    where = _called(measured, measured.best)
    what = f"p@1 between pairs at {where}"
    if measured.best_pooled is not None:
        what += f" and in one index at {_called(measured, measured.best_pooled)}"
    yield _advice(measured, "languages", f"{'; '.join(parts)} ({what}).", measured.best)


def _few(names: Sequence[str]) -> str:
    """List names; if there are very many, the first ones and the number of the rest."""
    rest = len(names) - _NAMED
    return formatting.listing([*names[:_NAMED], f"{rest} more"] if rest > 0 else names)


def _shares(standing: Mapping[str, Any]) -> str:
    """Write p@1 between pairs, and in one index."""
    pairs, index = percent(standing["value"]), standing["one index"]
    return pairs if index is None else f"{pairs}, {percent(index)}"


def _steps(measured: Measured) -> Iterator[Advice]:
    """Yield the gain of each step between pairs and in one index."""
    best, hits = measured.best, measured.hits(PLAIN)[:, measured.best]
    found: set[str] = set()
    for metric, what in _STEPS.items():
        if metric == SUBSPACE and CENTRED in found:
            continue  # it does much the same
        new = measured.hits(metric)[:, best]
        base = measured.hits(CENTRED)[:, best] if metric == CSLS else hits
        if not np.isnan(new).any() and (gain := gain_of(new, base)).pays:
            found.add(metric)
            yield _advice(
                measured,
                metric.removeprefix("p@1-"),
                f"between pairs at {_called(measured, best)}, {what}: {gain} in p@1.",
                best,
                **gain.of_advice(),
            )
    for layer in dict.fromkeys((measured.best_pooled, len(measured.layers) - 1)):
        gains = {}
        for metric in (CENTRED, SUBSPACE):
            step, plain = (measured.found.hits.get((POOLED, of, "")) for of in (metric, PLAIN))
            if layer is not None and step is not None and plain is not None:
                gains[metric] = gain_of(step[None, layer], plain[None, layer])
        if layer is None or not gains or not (centre := gains[CENTRED]).pays:
            continue
        sentence = f"in one index at {_called(measured, layer)}, {_STEPS[CENTRED]}: {centre} in p@1"
        if SUBSPACE in gains and gains[SUBSPACE].pays:
            sentence += (
                f"; or, where the language of a text is not known, {_STEPS[SUBSPACE]}: "
                f"{gains[SUBSPACE]}"
            )
        yield _advice(measured, "one-index-centred", f"{sentence}.", layer, **centre.of_advice())


def _pooling(measured: Measured) -> Iterator[Advice]:
    best = measured.best
    plain = measured.hits("mexa", "mexa")[:, best]
    for form, what in (("weighted", "weigh tokens by position"), ("last", "take the last token")):
        if ("mexa", f"mexa-{form}", measured.languages[1]) not in measured.found.hits:
            continue
        new = measured.hits(f"mexa-{form}", "mexa")[:, best]
        if not np.isnan(new).any() and (gain := gain_of(new, plain)).pays:
            yield _advice(
                measured,
                f"pooling-{form}",
                f"At {_called(measured, best)}, {what} instead of averaging them: {gain} in MEXA.",
                best,
                **gain.of_advice(),
            )


def rotation_advice(measured: Measured) -> Iterator[Advice]:
    """Yield the number of pairs from which a learnt rotation gains, at the best layer.

    That is the smallest number of pairs for which, and for all larger ones, the gain is sure.
    """
    pays: dict[int, list[str]] = {}
    most, gains, never = 0, {}, []
    for code in measured.languages[1:]:
        hits, sizes = measured.rotation_hits.get((measured.best, code), (None, ()))
        if hits is None:
            continue
        most = max(most, sizes[-1])
        gained = [Gain.of(one) for one in hits[1:] - hits[:1]]
        failing = [number for number, gain in enumerate(gained) if not gain.pays]
        first = failing[-1] + 1 if failing else 0  # of many small numbers, one gains by chance
        if first < len(gained):
            pays.setdefault(sizes[1 + first], []).append(code)
            gains[code] = gained[-1]
        else:
            never.append(code)
    if not most:
        return
    where, more = f"at {_called(measured, measured.best)}", {}
    if not pays:
        sentence = (
            f"a rotation learnt from up to {most:,} pairs gains nothing sure beyond subtracting "
            f"means {where}."
        )
    else:
        parts = [f"from {size:,} pairs for {_few(of)}" for size, of in sorted(pays.items())]
        code, gain = max(gains.items(), key=lambda item: item[1].value)
        more = gain.of_advice()
        sentence = (
            f"beyond subtracting means, a learnt rotation pays {where} {'; '.join(parts)} (from "
            f"{most:,} pairs most for {code}: {gain} in p@1)"
        )
        rest = f"; not for {_few(never)} up to {most:,} pairs" if never else ""
        sentence += f"{rest}."
    yield _advice(measured, "rotation", sentence, measured.best, **more)


def _dips(measured: Measured) -> Iterator[Advice]:
    """Yield layers where a language drops clearly below both neighbouring layers, and why."""
    hits = measured.hits(PLAIN)
    named = [name for name in measured.layers if name != "output"]
    found = []
    for code, of_language in zip(measured.languages[1:], hits, strict=True):
        low, high = bootstrap_interval(of_language, 0)
        for layer in range(1, len(named) - 1):
            if high[layer] < min(low[layer - 1], low[layer + 1]):
                depth = min(of_language[[layer - 1, layer + 1]].mean(axis=1))
                found.append((float(depth - of_language[layer].mean()), code, layer))
    for _, code, layer in sorted(found, key=lambda dip: (-dip[0], dip[1:]))[:3]:
        yield _explained(measured, code, layer, hits[measured.languages.index(code) - 1])


def _explained(measured: Measured, code: str, layer: int, hits: Floats) -> Advice:
    """Say how deep a dip is, in which direction, and how much is left without possible causes.

    A mean that all lines of a language share changes all cosines. So does an outlier dimension,
    which is nearly the same in every line (Timkey and van Schijndel 2021).
    """
    pivot = measured.pivot
    whole = ~(measured.empty[pivot] | measured.empty[code])
    X, Y = (measured.vectors[one].at(layer)[whole] for one in (pivot, code))
    before, at, after = (float(hits[one].mean()) for one in (layer - 1, layer, layer + 1))
    centred = float(measured.found.hits["retrieval", CENTRED, code][layer].mean())
    half = at + (min(before, after) - at) / 2
    reasons = ["an offset between the languages"] if centred >= half else []
    sentence = (
        f"Between {pivot} and {code}, retrieval drops to {percent(at)} at layer {layer} (before it "
        f"{percent(before)}, after it {percent(after)}){_one_way(measured, code, X, Y)}. With each "
        f"language's mean subtracted it is {percent(centred)}"
    )
    dimensions = sorted({int(one) for side in (X, Y) for one in outlier_dimensions(side)[0]})
    if dimensions and len(dimensions) < X.shape[1]:
        rest = np.delete(np.arange(X.shape[1]), dimensions)
        without = precision_at_1(X[:, rest], Y[:, rest])
        value = (without.forward + without.backward) / 2
        many = f"{len(dimensions)} dimension{'s' if len(dimensions) > 1 else ''}"
        squares = np.square(np.concatenate([X, Y]), dtype=np.float64).sum(axis=0)
        spread = X.var(axis=0, dtype=np.float64) + Y.var(axis=0, dtype=np.float64)
        shares = [
            percent(float(of[dimensions].sum() / max(float(of.sum()), 1e-300)))
            for of in (squares, spread)
        ]
        sentence += (
            f", and without {many} of outlying size ({_listed(dimensions)}; {shares[0]} of the "
            f"squared length, {shares[1]} of the variance) {percent(value)}"
        )
        reasons += ["those dimensions"] if value >= half else []
    if len(reasons) == 2:
        cause = "each of the two alone undoes at least half of the drop"
    elif reasons:
        cause = f"{reasons[0]} explain{'s' if 'offset' in reasons[0] else ''} it"
    else:
        cause = "that does not explain it"
    return _advice(measured, "dip", f"{sentence}: {cause}.", layer, language=code)


def _one_way(measured: Measured, code: str, X: Matrix, Y: Matrix) -> str:
    """Say if mostly one direction drops, and if one line is the nearest of many others."""
    found = precision_at_1(X, Y)
    ways = {(measured.pivot, code): found.forward, (code, measured.pivot): found.backward}
    (a, b), low = min(ways.items(), key=lambda way: way[1])
    if max(ways.values()) - low < _APART:
        return ""
    counts = k_occurrence(*((X, Y) if b == code else (Y, X)), 1)
    most = round(float(counts.max()))
    hub = f"; one line of {b} is the nearest of {most} lines" if most >= NEAREST else ""
    return f", mostly from {a} into {b} ({percent(low)}, back {percent(max(ways.values()))}{hub})"


def _listed(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers[:5]]
    return ", ".join(shown) + (", ..." if len(numbers) > 5 else "")
