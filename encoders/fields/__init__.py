"""What the fields of a feed mean."""
