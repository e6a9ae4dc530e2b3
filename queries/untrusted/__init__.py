"""SQL that comes from outside: the gate that checks it, the sessions that run it, what a key may see."""
