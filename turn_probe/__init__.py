"""Relay health: what a client needs to use a TURN server, and whether that server works."""
