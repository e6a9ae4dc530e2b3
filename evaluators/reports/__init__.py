"""Verdicts for machines and people: JUnit, JSON, Markdown, GitHub."""
