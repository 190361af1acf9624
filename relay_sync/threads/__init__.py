"""Threading utilities that do not depend on RELAY.

====================  ===========================================================================
``outcome``           a value or exception that is set once, and interruptible waits
``flag``              a ``threading.Event`` that is safe to set in signal handlers
``mailbox``           a bounded queue with one reader
``item_log``          a queue that also keeps a history
``timeouts``          time left before a timeout
``batch_sleep``       threads that do not preempt the thread that wakes them
``wake_chain``        threads that wake one another
``wake_up``           wakes a thread that is blocked in a selector
``starting``          starts and joins threads, protected from Ctrl-C
``lanes``             runs callbacks in order on a thread pool
``callback_errors``   reports callback exceptions to test tools
``signals``           temporary signal handlers
``process``           fork and exit hooks
``loop_clock``        detection of clock jumps
``lateness``          detection of a loop that falls behind
``sources``           the clients of this process
``pulse``             detection of a loop that no longer answers
``safety_net``        runs a series of steps despite exceptions
``table``             dictionaries with atomic operations
``living``            sets of weak references
``logs``              logging that does not block
``rate_limited_log``  logging with a rate limit
``descriptors``       detection of file descriptor exhaustion
``file_lock``         file locks
``growing_files``     files that are still being written
====================  ===========================================================================
"""
