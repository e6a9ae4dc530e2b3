"""LLM judges: prompts, providers, budgets, cache."""
