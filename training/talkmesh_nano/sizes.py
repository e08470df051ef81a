"""Sizes shared by the graphs and the tools that feed them (no PyTorch here)."""
RATE_HZ = 24000
FRAME_SAMPLES = 960
HISTORY_SAMPLES = 11520
TEMPORAL, TOKENS_PER_LATENT, TOKEN_DIM = 4, 4, 128
# latent frames in a chunk: the paper studies both; the first is what ships, what the encoder is trained on and what the teachers see
CHUNK_SIZES = (3, 7)
LATENT_FRAMES = CHUNK_SIZES[0]
CHUNK_FRAMES, CHUNK_SAMPLES = LATENT_FRAMES * TEMPORAL, LATENT_FRAMES * TEMPORAL * FRAME_SAMPLES


def chunk_samples(latent_frames):
    """Samples of sound that a chunk of that many latent frames speaks."""
    return latent_frames * TEMPORAL * FRAME_SAMPLES
