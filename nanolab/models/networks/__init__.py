"""One network a module, each a function `(out_channels, **options)`; `nanolab.models.NETWORKS` has their names."""
