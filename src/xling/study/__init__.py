"""Studies: variants, pairs and seeds as one workflow."""
