"""Where the parts of a sharing plan lie inside a Hugging Face masked language model."""

from xling.model.sharing import HEAD, LANGUAGE, NORM, POSITIONS, TOKENS, sublayer_part


def bert_anatomy(layers: int) -> dict[str, tuple[str, ...]]:
    """Map every part to the paths of the modules or parameters of ``BertForMaskedLM`` it holds.

    Each parameter of the model lies under exactly one part. The output layer goes with the
    tokens: its weight is tied to them and its bias has one entry a token.
    """
    embeddings, predictions = "bert.embeddings", "cls.predictions"
    paths: dict[str, tuple[str, ...]] = {
        TOKENS: (
            f"{embeddings}.word_embeddings",
            f"{predictions}.decoder",
            f"{predictions}.bias",
        ),
        POSITIONS: (f"{embeddings}.position_embeddings",),
        # Every token is of one type, so the type's embedding is added to all of a language's.
        LANGUAGE: (f"{embeddings}.token_type_embeddings",),
        NORM: (f"{embeddings}.LayerNorm",),
        HEAD: (f"{predictions}.transform",),
    }
    for layer in range(1, layers + 1):
        stem = f"bert.encoder.layer.{layer - 1}"
        paths[sublayer_part(layer, "attention")] = (f"{stem}.attention",)
        paths[sublayer_part(layer, "feed-forward")] = (f"{stem}.intermediate", f"{stem}.output")
    return paths
