"""The plugin for napari: its reader, and particles found as labels."""
