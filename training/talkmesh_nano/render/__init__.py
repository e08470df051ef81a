"""Avatars and their frames, drawn in layers; the renderer also knows the true flow and landmarks."""
