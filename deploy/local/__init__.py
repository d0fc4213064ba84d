"""Brokers and processes on one machine, shared by the demo, end-to-end tests and benchmarks."""
