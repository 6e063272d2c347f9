"""The main rules of the UD validator (levels 2 and 3), restated."""

import networkx as nx

# Relations and the parts of speech that may bear them (UD validation, "upos vs. deprel").
ALLOWED = {
    "det": {"DET", "PRON"},
    "nummod": {"NUM"},
    "advmod": {"ADV", "PART"},
    "aux": {"AUX"},
    "cop": {"AUX"},
    "case": {"ADP"},
    "mark": {"SCONJ"},
    "cc": {"CCONJ"},
    "punct": {"PUNCT"},
    "amod": {"ADJ"},
    "nsubj": {"NOUN", "PROPN"},
    "obj": {"NOUN", "PROPN"},
    "iobj": {"NOUN", "PROPN"},
    "obl": {"NOUN", "PROPN"},
    "nmod": {"NOUN", "PROPN"},
    "flat": {"PROPN", "NOUN"},
    "root": {"VERB", "ADJ", "NOUN"},
    "conj": {"VERB", "ADJ", "NOUN"},
    "advcl": {"VERB", "ADJ", "NOUN"},
    "ccomp": {"VERB", "ADJ", "NOUN"},
    "acl": {"VERB"},
}
LEAVES = {"det", "aux", "cop", "case", "mark", "cc", "punct"}
RIGHTWARDS = {"conj", "flat"}


def faults(forms, upos, heads, relations):
    """Return what is wrong with a tree; heads count from 1, 0 is the root."""
    found = []
    graph = nx.DiGraph((head, word) for word, head in enumerate(heads, 1))
    if not nx.is_arborescence(graph) or heads.count(0) != 1:
        return ["not one tree with one root"]
    plain = [relation.split(":")[0] for relation in relations]
    for word, (tag, head, relation) in enumerate(zip(upos, heads, plain, strict=True), 1):
        if (relation == "root") != (head == 0):
            found.append("root relation")
        if tag not in ALLOWED[relation]:
            found.append(f"{relation} {tag}")
        if relation in RIGHTWARDS and word < head:
            found.append(f"{relation} to the left")
        if head and plain[head - 1] in LEAVES:
            found.append(f"{plain[head - 1]} has a dependent")
        if head and plain[head - 1] == "flat" and relation != "punct":
            found.append("flat has a dependent")
    for word in range(1, len(heads) + 1):
        below = [plain[other - 1] for other in graph.successors(word)]
        if below.count("nsubj") > 1 or below.count("obj") > 1 or below.count("cop") > 1:
            found.append("two subjects, objects or copulas")
    for word, relation in enumerate(plain, 1):
        if relation == "punct" and not projective(word, heads[word - 1], graph):
            found.append("non-projective punctuation")
    return found


def projective(word, head, graph):
    """Whether everything between a word and its head is below the head."""
    low, high = sorted((word, head))
    below = nx.descendants(graph, head)
    return all(between in below for between in range(low + 1, high))


def is_projective(heads):
    graph = nx.DiGraph((head, word) for word, head in enumerate(heads, 1))
    return all(projective(word, head, graph) for word, head in enumerate(heads, 1) if head)
