"""What it costs to look: many alert rules over many evaluations."""
