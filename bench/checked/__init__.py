"""The figures that are the same on every machine, and their comparison with a baseline: `make bench-check`."""
