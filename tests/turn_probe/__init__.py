"""Promises of the relay credentials."""
