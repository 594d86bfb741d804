"""All figures. Each function returns a matplotlib Figure that needs neither pyplot nor a display."""
