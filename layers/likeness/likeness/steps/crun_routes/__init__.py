"""The routes of crun's API, for programs that were written for crun."""
