"""How the network learns. Needs the train extra.

recipe      a frozen recipe, from TOML (recipes/)
networks    what can be trained, by name: ours, and the field's usual ones for comparison
feed        a data set letterboxed once, then batches with their draws
augment     draw, then apply: image, mask and points by the same draw
texture     foreign texture, bent greys and lost structures; style mixes looks within the network
warp        anatomy bent smoothly
losses      structures with partial labels, landmarks, view, ordinal grade
teacher     what other networks say of the same frames, learnt beside the truth
loop        the training loop, readable top to bottom
run_state   what changes while a run goes on: begun, kept, taken up again
restore     an exported file taken back into training
run_folder  what lies in a run's folder
device      where a network trains, and how that device computes quickest
progress    curves and log of a run
blend       runs averaged weight by weight
calibrate   temperatures on a split of their own; abstain the thresholds
export      a run's best network, or two runs' mean, as one self-contained ONNX file; quantise the same in INT8
capsule/    the second network, that follows a capsule along the neck: learnt, calibrated, put into a file
half        a file's weights in half precision
evaluate    how well a network reads a data set, through the same Reader that serves; evaluation/ its figures and report
comparison  networks beside one another, by amount, size and part
realism     phantoms beside real frames
"""
