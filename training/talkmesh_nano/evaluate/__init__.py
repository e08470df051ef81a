"""Evaluation of the score model, the decoder and decoded frames, and timing in PyTorch."""
