"""Pages to hand on."""
