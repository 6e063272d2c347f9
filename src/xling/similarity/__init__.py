"""Where representations of two languages are alike: CKA and retrieval, layer by layer."""

from xling.similarity.cka import cka_matrix, linear_cka
from xling.similarity.retrieval import Retrieval, bootstrap_interval, precision_at_1

__all__ = ["Retrieval", "bootstrap_interval", "cka_matrix", "linear_cka", "precision_at_1"]
