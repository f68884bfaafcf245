"""crun's own routes, for programs that were written against crun."""
