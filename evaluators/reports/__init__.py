"""What the gate concluded, written for machines and people: JUnit, Markdown, GitHub, the terminal."""
