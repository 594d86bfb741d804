"""What is in the files of microscopes: formats, grey values, vendors' records, data bars, lines and text of bars."""
