"""The paper's findings as comparisons of scores, fixed beforehand and tested on a study."""
