"""What a replica answers, as types, and the client that asks."""
