"""What any program with threads needs. Knows nothing of RELAY.

Waiting: ``outcome`` (a value or an error that arrives once), ``flag`` (safe to set in signal handlers), ``mailbox`` (items for
one reader), ``item_log`` (items for many), ``timeouts``, ``batch_sleep``, ``wake_up`` (of who
sleeps in a selector).

Running: ``starting`` (threads, and steps that Ctrl-C cannot halve), ``lanes`` (callbacks in order), ``callback_errors``,
``signals``, ``process`` (fork, exit, forgotten objects), ``loop_clock`` (how much time a loop saw pass), ``safety_net`` (steps
of which each is taken).

Sharing: ``table`` (dictionaries by whole operations), ``living`` (sets that keep nothing alive).

Logging: ``logs``, ``rate_limited_log``.

The machine: ``descriptors`` (none is left), ``file_lock``, ``growing_files`` (being written, so not to be replaced).
"""
