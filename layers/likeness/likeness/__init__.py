"""Likeness: onboards a real person's likeness for Seedance video generation through crun.ai."""
