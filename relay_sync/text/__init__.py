"""Text utilities: JSON, lone surrogates, secret masking, and phrases for messages.

===============  =========================================================================
``json_text``    reading and writing JSON, including numbers that JSON cannot represent
``surrogates``   lone surrogates, which Python strings can contain but no encoding can write
``secrecy``      masks secrets in frames, strings and exceptions
``causes``       an exception's causes
``codec_names``  codec names, and other names often mistaken for them
``wording``      counts and lists for messages, such as "a, b or c"
===============  =========================================================================
"""
