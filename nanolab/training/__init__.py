"""Training: settings, patches, the loop, what it leaves on disk, and choosing an epoch."""
