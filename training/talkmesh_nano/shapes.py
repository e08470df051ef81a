"""Sizes shared by the graphs and the tools that feed them (no PyTorch here)."""
RATE_HZ = 24000
CHUNK_FRAMES, CHUNK_SAMPLES = 12, 11520
HISTORY_SAMPLES = 11520
LATENT_FRAMES, TOKENS_PER_LATENT, TOKEN_DIM = 3, 4, 128
