"""The console: pages for a browser, and their API."""
