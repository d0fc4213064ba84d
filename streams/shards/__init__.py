"""Requests of operators about shards: pause, resume, reset, refold."""
