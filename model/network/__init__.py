"""The network as torch modules; only training opens this folder.

hipnet   HipNet: one encoder, a light decoder, heads for structures, landmarks, view and grade
served   ServedNetwork: HipNet plus everything the ONNX file does besides: normalise, decode, calibrate
"""
