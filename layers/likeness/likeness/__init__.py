"""Likeness: onboards a real person's likeness for Seedance video generation through the crun.ai API."""

import gc

# A function loads more than 100,000 objects at start, none of which is garbage: collections would take 6 % of the time.
# After its first invocation, runtime/logging.py sets the limit of a warm process.
gc.set_threshold(250_000, 20, 20)
