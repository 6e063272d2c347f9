"""Masked-language-model loss on held-out text."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from xling.errors import XlingError
from xling.pretraining.batches import Batch, LanguageText
from xling.pretraining.masking import mask_rows
from xling.randomness import derive_seed, generator, permuted
from xling.tokens.streams import TokenStream
from xling.vocabulary.vocabulary import SpecialIds

_ROWS_AT_ONCE = 32


class DevSet:
    """Fixed, masked held-out rows of every language.

    Rows and masks do not depend on the run's seed nor on the other languages, so that
    perplexities of seeds, of pairs, and of variants over the same tokens compare.

    Args:
        streams: Language to its held-out tokens.
        texts: Language to its training text, for the replacement ids.
        length: Tokens per row.
        rows: Maximum rows per language.
        predicted_share: As in training.
        special: Special ids.

    Raises:
        XlingError: held-out text of a language that does not fill one row.
    """

    def __init__(
        self,
        streams: Mapping[str, TokenStream],
        texts: Mapping[str, LanguageText],
        length: int,
        rows: int,
        predicted_share: float,
        special: SpecialIds,
    ) -> None:
        self.batches: dict[str, Batch] = {}
        for language, stream in streams.items():
            windows = stream.windows(length - 1)
            body = stream.head(length - 1)
            if body is None:
                raise XlingError(
                    f"{language}: {stream.tokens} held-out tokens do not fill one row of {length}; "
                    "give more text, a larger dev_share or a smaller length"
                )
            if windows:
                chosen = permuted(
                    np.arange(min(rows, windows)),
                    windows,
                    derive_seed(0, f"dev rows of {language}"),
                )
                body = stream.rows(np.sort(chosen), length - 1)
            rows_BT = np.concatenate([np.full((len(body), 1), special.cls), body], axis=1)
            masked = mask_rows(
                rows_BT,
                generator(0, f"dev mask of {language}"),
                predicted_share,
                special.mask,
                np.array(special),
                texts[language].replacements,
            )
            self.batches[language] = Batch(language, masked)

    @torch.no_grad()
    def losses(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Return each language's mean loss per predicted token; perplexity is its exponential."""
        training = model.training
        model.eval()
        losses = {}
        for language, batch in self.batches.items():
            parts = -(-len(batch.masked.ids_BT) // _ROWS_AT_ONCE)
            total = sum(
                float(model(language, micro.ids_BT, micro.positions_P, micro.labels_P))
                for micro in batch.micro_batches(0, 1, parts, device)
            )
            losses[language] = total / batch.predicted
        model.train(training)
        return losses
