"""Several frames of one camera: each is begun at what was found in the frames beside it."""
