"""The log: what can change, as types and bytes; which records count; who may append."""
