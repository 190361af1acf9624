"""The verbs of a call, by theme, as mix-ins of :class:`relay_sync.Call`: explicit signatures, short bodies."""
