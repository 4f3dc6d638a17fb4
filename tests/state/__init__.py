"""Promises of the room model."""
