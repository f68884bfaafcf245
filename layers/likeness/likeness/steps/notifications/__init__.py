"""Events of stored changes, and the webhooks that carry them."""
