"""Regions of interest in X-rays: found by networks, given as masks, or rendered from CT labels."""
