"""A codebook built from a catalog, and the closed codebooks that it is compared with."""
