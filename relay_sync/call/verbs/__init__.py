"""Mix-ins with the methods of :class:`relay_sync.Call` that send commands, grouped by topic."""
