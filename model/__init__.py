"""What a picture means: from a frame to a reading. No torch, no web, no DICOM.

The flow, one frozen value through each doorway:

    Frame -> preprocess -> input + Placement -> runtime -> Maps -> findings -> Findings
          -> measure -> Measurements -> grade -> Solar  =>  Reading

frame       the picture as it arrived, with its calibration
anatomy     the one table of views, structures and landmarks
geometry    Placement, polylines, contours
spec        NetworkSpec: the contract that travels inside the ONNX file
preprocess  find the sector, letterbox it
runtime     the only import of onnxruntime
findings    structures and landmarks in frame pixels, or why there are none
colour      what of a picture's colour is flow, beside tint and drawn graphics
doppler     whether a picture shows Doppler, and its flow within the recess
closer      a second look at what was found, from nearer by
strip       a capsule followed along its neck, at the frame's own resolution
measure     millimetres and ratios, each a value or the reason why not
grade       SOLAR rules as versioned data
solar       all grades of one frame
steps       what one step of the flow hands to the next
reading     the whole flow on one screen
tracking    what the frames before tell of the next: landmarks that follow the tissue, nothing that flickers
cuts        whether a picture goes on from the one before
cine        one grade for a cine
network/    torch modules; only training opens it
weights/    the shipped starter model and its card
"""
