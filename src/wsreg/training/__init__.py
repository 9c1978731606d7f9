"""Training of the networks, resumable."""
