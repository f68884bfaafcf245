"""The doctor: makes a few calls to the real crun and compares the responses with the contract.

`transport` sends calls, `visit` decides which calls to make and when to stop, `judge` compares a response with the
contract, `record` writes fixtures, and `redaction` removes secrets from output and fixtures.
"""
