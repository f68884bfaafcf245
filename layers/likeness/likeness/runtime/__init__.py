"""How a function starts: settings, logging, HTTP routing and the making of clients."""
