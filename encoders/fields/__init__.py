"""The meaning of a feed's fields."""
