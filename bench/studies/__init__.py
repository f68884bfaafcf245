"""What is measured on one machine: processor time, latency, memory, dollars. `make bench` runs them all."""
