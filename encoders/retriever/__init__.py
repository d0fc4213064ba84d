"""The retriever: samples, network, training, beam search; most of it needs the extra `neural`."""
