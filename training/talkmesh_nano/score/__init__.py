"""The audio encoder and the score model: audio in, motion latents out."""
