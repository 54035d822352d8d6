"""Two years of production in minutes: real rows through the running stack, month by month."""
