"""A data folder from data sets on the Hugging Face hub, or from local copies of them."""
