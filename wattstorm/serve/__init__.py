"""What people and programs see over HTTP: the API, the metrics, and the page, on one port.

`app.make_app` puts it together on a client of the store, `server.serve` listens. Nothing here
touches a reading; no other command loads this package.
"""
