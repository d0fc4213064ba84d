"""The process: interpreter, folders, address, and where tests may stop it."""
