"""An experimental encoder from pixels back to motion latents; it does not ship."""
