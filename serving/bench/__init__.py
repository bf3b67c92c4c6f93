"""`hipsono bench`: this server beside its floor and its peers, in one run, on one machine, with one network.

pictures   the frames that are sent, and the same as the network's input
servers    a server in a process of its own, its processor time and memory
clients    requests in turn, many clients at once, streams at a steady rate
streams    one stream, four streams: how old their answers are
overload   ten times what the server can do, by requests and by streams
batch      `hipsono read` over a folder
figures    latencies and rates as rows, and the rows as a table
page       the viewer in a real browser, from a made-up camera to the overlay drawn
archive    `hipsono grade` beside decoding alone and the network alone
tune       provider, threads and workers chosen by measurement
steadiness landmark jitter on a still cine, lag on a moving one
plot       the rows as a picture
run        everything, in the order it is told
peers/     the same network behind other servers, each a program of its own
"""
