"""Upstreams for tests and demonstrations: faithful routes, quotas and faults on a clock of their own.

Everything it tells is invented and marked so: each answer carries `X-Simulated: crypto-data`.
"""
