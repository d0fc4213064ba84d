"""Terms as operations handle them: published, imported, listed with their history, promoted."""
