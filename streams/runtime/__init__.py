"""The process: its interpreter, its folders, its address, and its failpoints."""
