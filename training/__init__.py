"""How the network learns. Needs the train extra.

recipe     a frozen recipe, from TOML (recipes/)
feed       a data set letterboxed once, then batches with their draws
augment    draw, then apply: image, mask and points by the same draw
losses     structures with partial labels, landmarks, view, ordinal grade
loop       the training loop, readable top to bottom
device     where a network trains, and how that device computes quickest
progress   curves and log of a run
calibrate  temperatures on a split of their own
export     a run's best network as one self-contained ONNX file
evaluate   how well a network reads a data set, through the same Reader that serves
report     that evaluation as a page, a file and a table
"""
