"""From a CT and a pose to a synthetic X-ray, its ROI path lengths and their pose derivatives."""
