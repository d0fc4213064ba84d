"""The RocksDB store of one shard: a fold of its log, on disk."""
