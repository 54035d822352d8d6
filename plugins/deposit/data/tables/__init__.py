"""Tables as users send them: file format, encoding, header, rows and cells. All entry points share this reader."""
