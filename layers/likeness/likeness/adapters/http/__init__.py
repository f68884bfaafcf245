"""HTTP clients for crun and for untrusted hosts."""
