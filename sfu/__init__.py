"""The media plane: receives encrypted RTP from each peer and forwards it, still encoded, to the others."""
