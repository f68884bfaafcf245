"""Implementations of the ports: the only code that calls AWS, crun and other hosts."""
