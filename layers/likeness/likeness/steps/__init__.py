"""The use cases of Likeness, one callable each."""
