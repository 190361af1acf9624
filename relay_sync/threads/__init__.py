"""What any program with threads needs. Knows nothing of RELAY.

Waiting: ``outcome`` (a value or an error that arrives once), ``flag`` (safe to set in signal handlers), ``mailbox`` (items for
whoever waits), ``time_left`` and ``time_scale`` (timeouts), ``batch_sleep``.

Running: ``starting`` (threads, and steps that Ctrl-C cannot halve), ``lanes`` (callbacks in order), ``raised``, ``signals``,
``process`` (fork, exit, forgotten objects).

Sharing: ``table`` (dictionaries by whole operations), ``living`` (weak ones), ``item_log`` (a log that many read), ``net`` (steps
of which each is taken).

Logging: ``logs``, ``rate_limited_log``, ``seldom``.

The machine: ``descriptors`` (none is left), ``file_lock``, ``growing`` (files that are being written), ``passing`` (how much
time a loop saw pass).
"""
