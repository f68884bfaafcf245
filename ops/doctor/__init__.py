"""The doctor: asks the real crun a few careful questions and compares the answers with the contract.

`transport` sends, `visit` knows what to ask and when to stop, `judge` compares an answer with the contract, `record`
writes fixtures, `redaction` keeps secrets out of what is shown and kept.
"""
