"""X's API v2: recent search, counts, look-ups and usage."""
