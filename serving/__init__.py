"""How a reading is told: over HTTP and WebSocket, as a page, as lines. No torch.

settings  what an operator may set, from HIPSONO_* variables
intake    a request's bytes -> Frame, or the right refusal
problems  every refusal as application/problem+json
bodies    Reading -> the JSON of schema version 1
schema    that JSON as types, for the documentation
overlay   Reading drawn over its frame
engine    the reader off the event loop, with a bounded queue
app       the HTTP routes
live      the WebSocket stream: the newest frame wins
demo      phantom cines for the viewer
batch     files and folders -> lines
bench     a request's latency against the bare network, in one run
about     versions, providers, model
web/      the viewer page
"""
