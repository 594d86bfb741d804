"""Synthesis: recipe, scene, passes, detector, dataset."""
