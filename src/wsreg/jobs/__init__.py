"""Long work as tasks whose results are kept: each made once, on one machine or on many."""
