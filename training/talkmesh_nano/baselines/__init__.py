"""Plain autoencoders that are measured as the decoder is, for comparison."""
