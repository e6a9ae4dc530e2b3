"""How often `evalspan why` names what truly moved a score."""
