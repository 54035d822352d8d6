"""Tables as people send them: what a file is, its text, its header, its rows, its cells. One reader for all doors."""
