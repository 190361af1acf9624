"""Text: JSON, lone surrogates, secrets to hide, and phrases that several errors share. Pure.

``json_text``
    reads and writes JSON; knows which numbers JSON readers cannot represent.
``surrogates``
    lone surrogates, which Python's strings may contain and no encoding can write.
``secrecy``
    finds and hides secrets in frames, texts and exceptions.
``causes``
    the causes of an exception.
``codec_names``
    codec names, and names that are mistaken for codecs.
``wording``
    counts and lists for messages: "a, b or c".
"""
