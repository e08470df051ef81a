"""Synthetic speech with phoneme times, and what a room and a microphone do to it."""
