"""How many candidates are nearer than the gold one, counted by products in single precision.

A product of unit rows in float32 is off by less than (d + 8) 2⁻²⁴ (Higham 2002, section 3.1). The
cosines of most candidates differ from the gold one's by more than that, so float32 tells which is
larger. The others are computed again, one by one, in float64.
"""

import numpy as np
from numpy.typing import NDArray

from xling.measures.tiles import TIES, blocks

Doubles = NDArray[np.float64]
Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
_ROWS, _COLUMNS = 512, 8192  # a tile of float32 is 16 MB
_CLOSE = 16  # close candidates per query that are computed again; beyond that, all are
_TIE = TIES["float64"]


def nearer_than_gold(
    x: Doubles, y: Doubles, gold: NDArray[np.int64], both: bool = False
) -> list[Counts] | None:
    """Count the rows of y that are nearer to a row of x than its gold row of y is.

    Args:
        x: Unit rows [n, d].
        y: Unit rows [m, d].
        gold: For each row of x its row of y, int64 [n].
        both: Also count for each row of y among the rows of x; row i of both is then a pair.

    Returns:
        For each direction two int64 arrays: how many rows have a larger cosine than the gold one
        (by more than 1e-12), and how many have at least the same. None if so many cosines are close
        that all must be computed in float64.
    """
    level = np.einsum("nd,nd->n", x, y[gold])
    error = (x.shape[1] + 10) * 2.0**-24 + _TIE
    low, high = (level - error).astype(np.float32), (level + error).astype(np.float32)
    partners = [gold, np.arange(len(y))][: 1 + both]
    counts = [np.array([np.zeros(len(own)), np.ones(len(own))], dtype=np.int64) for own in partners]
    again, x_single, y_single = 0, x.astype(np.float32), y.astype(np.float32)
    for rows in blocks(len(x), _ROWS):
        for columns in blocks(len(y), _COLUMNS):
            tile = x_single[rows] @ y_single[columns].T
            for side, own in enumerate(partners):
                mine, facing, seen = (columns, rows, tile.T) if side else (rows, columns, tile)
                inside = (own[mine] >= facing.start) & (own[mine] < facing.stop)
                above = np.count_nonzero(seen > high[mine, None], axis=1)
                close = np.count_nonzero(seen >= low[mine, None], axis=1) - above - inside
                counts[side][:, mine] += above
                again += int(close.sum())
                if again > _CLOSE * len(x):
                    return None
                doubtful = np.flatnonzero(close)
                part, queries = seen[doubtful], mine.start + doubtful
                place, other = np.nonzero(
                    (part >= low[queries, None]) & (part <= high[queries, None])
                )
                query, found = queries[place], facing.start + other
                query, found = query[found != own[query]], found[found != own[query]]
                i, j = (found, query) if side else (query, found)
                ahead = np.einsum("pd,pd->p", x[i], y[j]) - level[query]
                for count, least in zip(counts[side], (_TIE, -_TIE), strict=True):
                    passing = ahead > least
                    count += np.bincount(query[passing], minlength=len(count))
    return [(nearer, at_least) for nearer, at_least in counts]
