"""The papers' experiments: images split and drawn, a training with its test in one call, figures of what came out."""
