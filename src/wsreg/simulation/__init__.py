"""Realistic X-rays made from a CT by a path of its own, to test the registration with."""
