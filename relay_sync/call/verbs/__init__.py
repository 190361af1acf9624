"""Mix-ins that give :class:`relay_sync.Call` its verbs, grouped by theme."""
