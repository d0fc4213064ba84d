"""The serving replica: follow the logs, keep one view, answer over HTTP."""
