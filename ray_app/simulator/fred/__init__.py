"""FRED and ALFRED, simulated: made-up series with a real life of releases, revisions and withdrawals."""
