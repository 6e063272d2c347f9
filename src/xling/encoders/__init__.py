"""From text to hidden states of any Hugging Face encoder: sentences and words, every layer."""
