"""The patient's CT: reading, labels, resampling, and CTs to try things out with."""
