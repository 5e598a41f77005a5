"""Simulated exchanges: one market behind them all, and each venue's own way to tell it."""
