"""File formats of the shipped models, and checks of the exported models against PyTorch."""
