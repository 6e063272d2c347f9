"""Zero-shot transfer: fine-tune on one language, test on the others."""
