"""How alike two images are, as losses and as linearisations for least squares."""
