"""Aligning the spaces of two models: maps, retrieval, lexicons and word alignment."""

from xling.alignment.csls import csls, margin_ratio
from xling.alignment.embedding_aligner import align_embeddings
from xling.alignment.lexicon import Lexicon, find_pairs, identical_words, read_lexicon
from xling.alignment.normalization import Normalizer, iterative_normalize
from xling.alignment.procrustes import Procrustes
from xling.alignment.ranking import Ranking, rank_translations
from xling.alignment.refinement import RefinedProcrustes
from xling.alignment.regression import LeastSquares, Ridge
from xling.alignment.self_learning import SelfLearning
from xling.alignment.static_vectors import ppmi_vectors
from xling.alignment.translation import Translations, mutual_pairs, translate
from xling.alignment.vector_files import read_vectors
from xling.alignment.word_aligner import WordAligner
from xling.alignment.word_links import (
    align_words,
    alignment_error_rate,
    read_links,
    symmetrize,
    write_links,
)

__all__ = [
    "LeastSquares",
    "Lexicon",
    "Normalizer",
    "Procrustes",
    "Ranking",
    "RefinedProcrustes",
    "Ridge",
    "SelfLearning",
    "Translations",
    "WordAligner",
    "align_embeddings",
    "align_words",
    "alignment_error_rate",
    "csls",
    "find_pairs",
    "identical_words",
    "iterative_normalize",
    "margin_ratio",
    "mutual_pairs",
    "ppmi_vectors",
    "rank_translations",
    "read_lexicon",
    "read_links",
    "read_vectors",
    "symmetrize",
    "translate",
    "write_links",
]
