"""What a loss is made of: each term reads a view's projection of a state."""
