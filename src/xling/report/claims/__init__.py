"""The claims ledger: the paper's findings as comparisons fixed beforehand, tested on a study."""
