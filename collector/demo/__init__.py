"""The main job as a story: a support assistant on a real local model, from its first span to the gate."""
