"""Inverted indexes of one shard: word -> the items that have it, in segments as Lucene keeps them.

segment          an immutable piece of the index, with a live set as Lucene's live docs
inverted_index   the segments of a shard: pending items, refresh, merge
selector_index   over it, for the owner of a shard: which items a term's selector matches
search_index     over it, for a replica: snapshots with word counts, lengths and slots
statistics       over snapshots: postings, frequencies and slot shares of a query's words
selection        over a snapshot and a store reader: a selector's items in one version
"""
