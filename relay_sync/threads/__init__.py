"""Threading utilities, independent of RELAY.

Waiting: ``outcome`` (a value or an error that is set once), ``flag`` (an event that is safe to set in signal handlers),
``mailbox`` (a queue with one reader), ``item_log`` (a queue with a history), ``timeouts``, ``batch_sleep`` (cheaper wake-ups),
``wake_up`` (wakes a thread in a selector).

Running: ``starting`` (starts threads, protected from Ctrl-C), ``lanes`` (callbacks in order), ``callback_errors``, ``signals``,
``process`` (fork and exit), ``loop_clock`` (detects clock jumps), ``safety_net`` (runs all steps despite exceptions).

Sharing: ``table`` (dictionaries with atomic operations), ``living`` (sets of weak references).

Logging: ``logs``, ``rate_limited_log``.

The system: ``descriptors`` (file descriptor exhaustion), ``file_lock``, ``growing_files`` (files that may not be replaced yet).
"""
