"""wsreg: find where a patient's CT lies in an X-ray."""

__version__ = "0.1.0"
