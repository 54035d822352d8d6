"""Model selection: whether a challenger becomes champion, and why."""
