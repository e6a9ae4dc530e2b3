"""LLM judges: prompts as artifacts, providers, pace, budgets, cache; from an output to a validated verdict."""
