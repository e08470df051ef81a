"""Training code of the nano model: a causal latent-diffusion talking head, small enough for one CPU core."""
