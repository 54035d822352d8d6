"""The page at `/`: what this is and where to go on."""

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>deposit</title>
<h1>deposit</h1>
<p>Tells which customers to call with a term-deposit offer: send customers to <code>POST /predict</code>
and get the probability that each subscribes.</p>
<ul>
<li><a href="/docs.json">How to call it (OpenAPI)</a></li>
<li><a href="/models">The model that answers, and how it did out of time</a></li>
<li><a href="/metrics">Metrics</a></li>
</ul>
</html>
"""
