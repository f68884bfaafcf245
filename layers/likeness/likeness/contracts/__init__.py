"""The formats of requests, responses, messages and events."""
