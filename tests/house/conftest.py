"""What waits until the text of all rooms is rewritten."""

collect_ignore = ["test_words.py", "test_docstrings.py"]
