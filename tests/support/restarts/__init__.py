"""What restarts do to live calls: the table of ``docs/deploy.md``, and how each row is seen."""
