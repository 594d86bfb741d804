"""Notebooks run headlessly by papermill: one run, or a sweep of many."""
