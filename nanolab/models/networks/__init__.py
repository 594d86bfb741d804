"""One network per module, a function `(out_channels, **options)`; `registry.NETWORKS` names them."""
