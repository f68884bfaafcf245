"""The doctor: asks the real crun a few careful questions and compares the answers with the contract.

`wire` sends, `questions` knows what to ask and what to expect, `visit` asks, `redaction` keeps secrets out of what is
shown and kept.
"""
