"""What functions share: settings, logging, clients, HTTP routing, idempotency keys, queues and pages."""
