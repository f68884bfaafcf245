"""What Likeness is about, without any input or output."""
