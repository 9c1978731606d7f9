"""The renderers: each file has a function ``render`` that does what ``protocol.py`` says."""
