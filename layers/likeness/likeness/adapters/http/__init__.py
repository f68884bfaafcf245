"""HTTP to crun, and to hosts that nobody vouches for."""
