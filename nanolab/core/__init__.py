"""What everything stands on: files, checks, seeds, tables, processes, Dask. No image and no network."""
