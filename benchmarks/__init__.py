"""Measurements: every figure is a ratio against a baseline of the same run. Not part of the tests."""
