"""Likeness: onboards a real person's likeness for Seedance video generation through the crun.ai API."""

import gc

# A function loads some 100,000 objects while it starts, and none of them is garbage: collecting among them takes 6 %.
gc.set_threshold(50_000, 20, 20)
