"""The trie of live identifiers, and what a decode asks of it.

A view's trie is merged from two parts that never change, as RocksDB merges a table and a memtable:

    base      a trie of all paths at some moment; what has changed since is dead in it
    overlay   a small trie of the paths of items that changed, and of terms bound, since then

`trie_writer` makes one view's trie after the other: it marks what has changed as dead in the base,
builds the overlay anew, and compacts both into a new base, on another thread, once the overlay has
grown. So a view costs what has changed, not what there is, and readers need no lock.

    shard_table      the columns of a shard's items that paths are made of, by ordinal
    trie             sorted entries and six levels of nodes over them
    child_bitmaps    the children of nodes that have many, as rows of bits
    prefixes         a batch of prefixes, as one query
    live_trie        a trie and its dead entries, like a Lucene segment and its live docs
    base_trie        the base, and where in it the entries of each item are
    merged_trie      base and overlay as one
    trie_writer      the next view's trie, from changes
    decoding         which slots may come next, how many items are below, which items a path has
    beam             beam search for the paths that cover most of a query
    array_file       tries as arrays in a file that other processes map
    sorted_arrays    searches and ranges in sorted arrays
"""
