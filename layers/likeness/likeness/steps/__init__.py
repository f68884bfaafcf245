"""One callable for each arrow of the flow."""
