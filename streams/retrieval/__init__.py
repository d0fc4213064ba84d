"""The retriever in use: samples by Beam, decoding under the live mask, search."""
