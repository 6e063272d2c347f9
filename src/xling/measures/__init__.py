"""Functions of arrays: similarity, retrieval, maps, lexicons and word alignment."""

from xling.bootstrap import bootstrap_interval
from xling.measures.cca import pwcca, svcca
from xling.measures.cka import cka_interval, cka_matrix, debiased_cka, linear_cka, minibatch_cka
from xling.measures.embedding_aligner import align_embeddings
from xling.measures.language import language_identity, language_subspace, remove_subspace
from xling.measures.lexicon import Lexicon, find_pairs, identical_words
from xling.measures.maps import LeastSquares, Procrustes, RefinedProcrustes, Ridge
from xling.measures.neighbours import hubness, k_occurrence, mutual_knn, reciprocity
from xling.measures.normalization import Normalizer, iterative_normalize
from xling.measures.pooled_index import pooled_hits
from xling.measures.ranking import Ranking, rank_translations
from xling.measures.retrieval import Retrieval, csls_hits, margin_hits, mexa, precision_at_1
from xling.measures.rotation import rotated_hits, rotation_gain
from xling.measures.scores import csls, margin_ratio
from xling.measures.self_learning import SelfLearning
from xling.measures.similarity import neuron_correlation, procrustes_distance, rsa
from xling.measures.space import anisotropy, cosine_contributions, outlier_dimensions
from xling.measures.static_vectors import ppmi_vectors
from xling.measures.translation import Translations, mutual_pairs, translate
from xling.measures.word_aligner import WordAligner
from xling.measures.word_links import (
    align_words,
    alignment_error_rate,
    symmetrize,
)

__all__ = [
    "LeastSquares",
    "Lexicon",
    "Normalizer",
    "Procrustes",
    "Ranking",
    "RefinedProcrustes",
    "Retrieval",
    "Ridge",
    "SelfLearning",
    "Translations",
    "WordAligner",
    "align_embeddings",
    "align_words",
    "alignment_error_rate",
    "anisotropy",
    "bootstrap_interval",
    "cka_interval",
    "cka_matrix",
    "cosine_contributions",
    "csls",
    "csls_hits",
    "debiased_cka",
    "find_pairs",
    "hubness",
    "identical_words",
    "iterative_normalize",
    "k_occurrence",
    "language_identity",
    "language_subspace",
    "linear_cka",
    "margin_hits",
    "margin_ratio",
    "mexa",
    "minibatch_cka",
    "mutual_knn",
    "mutual_pairs",
    "neuron_correlation",
    "outlier_dimensions",
    "pooled_hits",
    "ppmi_vectors",
    "precision_at_1",
    "procrustes_distance",
    "pwcca",
    "rank_translations",
    "reciprocity",
    "remove_subspace",
    "rotated_hits",
    "rotation_gain",
    "rsa",
    "svcca",
    "symmetrize",
    "translate",
]
