"""Pydantic models of everything that comes from outside or goes there."""
