"""Fixtures that all tests may ask for."""
