"""How a reading is told: over HTTP and WebSocket, as a page, as lines. No torch.

settings  what an operator may set, from HIPSONO_* variables
tuning    how the network is run: as set, else as `hipsono bench --tune` chose
intake    a request's bytes -> Frame, or the right refusal
problems  every refusal as application/problem+json
bodies    Reading -> the JSON of schema version 1
schema    that JSON as types, for the documentation
labels    where a label goes
lettering every word on an annotated picture, with its place
overlay   Reading drawn over its frame
engine    the reader off the event loop, with a bounded queue
gate      a full server refuses before it reads
heads     a connection whose request does not come, or has no end, is given up
server    how every server of this program is run and stopped; `address` what it listens on
app       the HTTP routes, `openapi` their description
cines     a cine's readings, of a file or of one that runs
live      the WebSocket stream: the newest frame wins
sockets   what the WebSocket routes share
stages    where a frame's time goes
watch     what `capture` takes off a frame grabber, a network stream or a video, shown and told
wire      OpenIGTLink's connections: one peer at a time, again whenever it has left
igtl      OpenIGTLink, listen DICOM by C-STORE, outbox results on their way back (extra `link`)
spool     a folder that a thread empties: what waits is on disk
demo      phantom cines for the viewer
batch     files and folders -> lines
dicom_out/ readings as DICOM objects (extra `archive`)
archive/  whole archives into tables (extra `archive`)
bench/    this server beside its floor and its peers, in one run (extra `bench`)
about     versions, providers, model
web/      the viewer page
"""
