"""Cached stretches of speech with motion, and the training sequences cut from them."""
