"""The control plane: HTTP and WebSocket, sessions, rooms, tokens, limits, and the composition root."""
