"""Similarity of the representations of two languages: CKA, related measures and retrieval."""

from xling.similarity.cca import pwcca, svcca
from xling.similarity.cka import cka_matrix, debiased_cka, linear_cka, minibatch_cka
from xling.similarity.neighbours import mutual_knn
from xling.similarity.neurons import neuron_correlation
from xling.similarity.procrustes_distance import procrustes_distance
from xling.similarity.retrieval import Retrieval, bootstrap_interval, precision_at_1
from xling.similarity.rsa import rsa

__all__ = [
    "Retrieval",
    "bootstrap_interval",
    "cka_matrix",
    "debiased_cka",
    "linear_cka",
    "minibatch_cka",
    "mutual_knn",
    "neuron_correlation",
    "precision_at_1",
    "procrustes_distance",
    "pwcca",
    "rsa",
    "svcca",
]
