"""Synthetic peers: WebRTC clients that neither encode nor decode, cheap enough to run by the hundred."""
