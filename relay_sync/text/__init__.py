"""Text: JSON, what no UTF-8 can carry, secrets that no text may show, and the words that several errors share. Pure.

``json_text``
    reads and writes JSON; knows which numbers readers of it cannot hold.
``surrogates``
    halves of characters, which Python's strings may hold and no encoding can write.
``secrecy``
    finds and masks secrets in frames, texts and exceptions.
``causes``
    what an exception came from.
``codec_names``
    the names of codecs as the platform writes them.
``wording``
    lists of names for errors: "a, b or c".
"""
