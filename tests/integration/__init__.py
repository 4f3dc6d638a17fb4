"""Several real parts together: servers, networks and dependencies that fail."""
