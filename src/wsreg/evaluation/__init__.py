"""Scoring of registrations against a known pose."""
