"""The Guardian's Content API."""
