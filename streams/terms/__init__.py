"""Terms as operations handle them: published, imported, told and promoted."""
