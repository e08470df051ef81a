"""Renders the invented people among nano's avatars with Blender's Cycles: head, skin, eyes, hair, clothes, light, camera."""
