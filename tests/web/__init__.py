"""Promises of the browser client and of the demo page."""
