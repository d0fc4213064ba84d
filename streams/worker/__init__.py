"""The live worker: Faust agents that index items and register terms."""
