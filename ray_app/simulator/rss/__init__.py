"""Feeds of news outlets, each in the form in which that outlet writes it."""
