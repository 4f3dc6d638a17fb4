"""Calls between real browsers and other real clients, through a real server."""
