"""Operating shards: status, verification, and requests to pause, resume, reset and refold."""
