"""Benchmarks of latency and cost, as ratios to a floor that is measured in the same run: ``make bench``."""
