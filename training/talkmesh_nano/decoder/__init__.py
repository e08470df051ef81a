"""The decoder: motion latents and a reference picture in, video frames out."""
