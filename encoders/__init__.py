"""What an item or a query says, as words and slots: pure functions over an immutable codebook."""
