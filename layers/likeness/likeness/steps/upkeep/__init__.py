"""What runs by the clock or by an operator: nothing stops, nothing is lost, nothing stays that should not."""
