"""Work that a schedule or an operator starts: repair, erasure, export and checks."""
