"""The codebook, and its slots as tokens of a model."""
