"""The network as torch modules; only training opens this folder.

hipnet   HipNet: one encoder, a light decoder, heads for structures, landmarks, view and grade
encoders the encoders HipNet can have, with ImageNet's weights where they can be had
pair     two of them that answer as one
served   ServedNetwork: HipNet plus everything the ONNX file does besides: normalise, decode, calibrate
"""
