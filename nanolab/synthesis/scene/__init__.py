"""What is to be rendered: where each particle lies, as plain data."""
