"""The neural tagger: finds attribute values in titles, including words that no list has."""
