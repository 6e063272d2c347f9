"""Aligning the spaces of two models: normalisation, linear maps, CSLS and lexicons from them."""

from xling.alignment.csls import csls, margin_ratio
from xling.alignment.normalization import Normalizer, iterative_normalize
from xling.alignment.procrustes import Procrustes
from xling.alignment.ranking import Ranking, rank_translations
from xling.alignment.refinement import RefinedProcrustes
from xling.alignment.regression import LeastSquares, Ridge
from xling.alignment.translation import Translations, mutual_pairs, translate

__all__ = [
    "LeastSquares",
    "Normalizer",
    "Procrustes",
    "Ranking",
    "RefinedProcrustes",
    "Ridge",
    "Translations",
    "csls",
    "iterative_normalize",
    "margin_ratio",
    "mutual_pairs",
    "rank_translations",
    "translate",
]
