"""Promises of the control plane."""
