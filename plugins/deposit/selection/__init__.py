"""Which candidate becomes champion, and why."""
