"""Blender as a renderer, in a process of its own: from a scene to its passes."""
