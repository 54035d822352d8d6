"""From a champion to traffic."""
