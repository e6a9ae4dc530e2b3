"""How much the e-detector finds, and how often for nothing: the query in a store beside a CUSUM that knows the answer."""
