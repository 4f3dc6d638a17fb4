"""Shared state: the room model and the copy of it that an instance owns."""
