"""Mix-ins that contain the command methods of :class:`relay_sync.Call`, grouped by topic."""
