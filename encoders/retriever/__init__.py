"""A generative retriever: samples, network, training and beam search; training needs the extra `neural`."""
