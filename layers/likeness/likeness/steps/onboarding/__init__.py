"""From a new session to a verified person."""
