"""Networks, and their checkpoints: weights and what they are."""
