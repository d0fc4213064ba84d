"""The RocksDB store of one shard: a fold of its log, on disk.

store         the store: opened, read, moved on by deltas, checked
state         which version of the log it is; hash and sums of its content
write_batch   the rows that one delta changes
plan          what items, or changed bindings, do to a shard: the edits of a delta
reader        one version of a store, while later deltas are applied
recovery      what a shard is opened from: its store, a snapshot, or nothing
bulk_load     a whole store from sorted items
rocks         RocksDB itself; keys has every key and file name
disk          free space, full disks, atomic removal
"""
