"""The face rig, its codec to motion latents, and motion tracks that follow speech."""
