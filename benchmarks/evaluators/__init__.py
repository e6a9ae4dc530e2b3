"""What evaluating costs the processor: five rule-based evaluators over answers, and a judge's call around the SDK's own."""
