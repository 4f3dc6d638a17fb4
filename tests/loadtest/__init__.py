"""Promises of the cheap peer."""
