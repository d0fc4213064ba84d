"""Which items say a word: inverted indexes of one shard."""
