"""Onboarding: from a new session to a verified person."""
