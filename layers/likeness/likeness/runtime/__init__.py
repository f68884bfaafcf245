"""The functions' shared runtime: settings, logging, clients, HTTP routing, idempotency keys, queues and pages."""
