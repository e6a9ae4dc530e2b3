"""Reading text: words, languages, passages, facts and embeddings, as evaluators need them."""
