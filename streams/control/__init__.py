"""The control topic: requests, answers and generations, and who follows them."""
