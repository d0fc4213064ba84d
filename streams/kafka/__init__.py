"""Kafka: connections, logs, topics, rights, and reading to an end."""
