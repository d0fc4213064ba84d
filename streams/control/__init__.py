"""The control topic: requests to shard owners, answers, and generations."""
