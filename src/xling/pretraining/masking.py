"""Which positions are predicted, and what the model sees there.

Conneau et al. 2020, section 3.1.
"""

from dataclasses import dataclass

import numpy as np

MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Masked:
    """Rows as the model sees them and what it must predict.

    Attributes:
        ids_BT: Token ids after masking.
        positions_P: Predicted positions, ascending, as indices into the flattened ``B*T``.
        labels_P: The true ids there.
    """

    ids_BT: np.ndarray
    positions_P: np.ndarray
    labels_P: np.ndarray


def mask_rows(
    rows_BT: np.ndarray,
    draws: np.random.Generator,
    predicted_share: float,
    mask_id: int,
    special_ids: np.ndarray,
    replacements: np.ndarray,
) -> Masked:
    """Choose positions to predict: 80 % become the mask, 10 % a random token, 10 % stay.

    Exactly ``round(predicted_share * ordinary tokens)`` positions are drawn without
    replacement, so that the work of a batch does not vary; special tokens never are.

    Args:
        rows_BT: Token ids.
        draws: Decides everything.
        predicted_share: Share of the ordinary tokens to predict.
        mask_id: Id of the mask token.
        special_ids: Ids that are neither predicted nor used as replacement.
        replacements: Ids that random tokens are drawn from: the joint vocabulary, or the
            language's own where embeddings are separate.
    """
    flat = rows_BT.reshape(-1)
    keys = draws.random(flat.size, dtype=np.float32)
    keys[np.isin(flat, special_ids)] = 2.0
    ordinary = int((keys < 2.0).sum())
    count = round(predicted_share * ordinary)
    positions = (
        np.sort(np.argpartition(keys, count)[:count])
        if count < flat.size
        else (np.arange(flat.size))
    )
    labels = flat[positions]
    fate = draws.random(count)
    random_ids = replacements[draws.integers(len(replacements), size=count)]
    seen = np.where(fate < MASK_SHARE, mask_id, labels)
    seen = np.where((fate >= MASK_SHARE) & (fate < MASK_SHARE + RANDOM_SHARE), random_ids, seen)
    masked = flat.copy()
    masked[positions] = seen
    return Masked(masked.reshape(rows_BT.shape), positions, labels)
