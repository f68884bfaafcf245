"""The domain of Likeness: values and rules without input or output."""
