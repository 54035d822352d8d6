"""Two years of production in minutes: real rows through the real stack, month by month."""
