"""How far to trust an answer: evidence, standard deviations, and a verdict with reasons."""
