"""The neural tagger: finds the attributes that stand in a title, also words that nobody listed."""
