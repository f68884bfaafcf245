"""Likeness: onboards a real person's likeness for Seedance video generation through the crun.ai API."""

import gc

# A function loads some 100,000 objects at start, none of which is garbage: collections would take 6 % of the time.
gc.set_threshold(50_000, 20, 20)
