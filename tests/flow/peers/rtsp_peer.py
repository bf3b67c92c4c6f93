"""An RTSP server of GStreamer's, run by the system's Python: rtsp_peer.py PORT FOLDER plays the folder's JPEGs."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
port, folder = sys.argv[1:]
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( multifilesrc location={folder}/%04d.jpg loop=true caps="image/jpeg,framerate=20/1" '
    "! jpegdec ! videoconvert ! jpegenc quality=90 ! rtpjpegpay name=pay0 pt=26 )"
)
factory.set_shared(True)
server = GstRtspServer.RTSPServer()
server.set_service(port)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
sys.stdout.write("up\n")
sys.stdout.flush()
GLib.MainLoop().run()
